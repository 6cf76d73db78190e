"""The app that the coordinator ships to partners: two lines of code that call what is installed there, and their hash.

A partner runs nothing at its site whose hash it has not approved; this is the one that its own Confide approves.
What is not here: the daemons that carry it (`deploy.py`), the code it calls (`client_app.py`, `server_app.py`).
"""

from __future__ import annotations

from pathlib import Path

_SHIPPED = Path(__file__).parent / "shipped"


def write_app(folder: Path) -> None:
    """The app that is shipped to partners: the same bytes for everybody who has this Confide."""
    for path in sorted(_SHIPPED.rglob("*")):
        if path.suffix in (".py", ".toml"):
            target = folder / path.relative_to(_SHIPPED)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())


def app_sha256() -> str:
    """The hash of that app as Flower archives it: what a partner with this Confide approves by itself."""
    import hashlib
    import tempfile

    from flwr.cli.build import build_fab_from_disk

    with tempfile.TemporaryDirectory() as folder:
        write_app(Path(folder))
        return hashlib.sha256(build_fab_from_disk(Path(folder))).hexdigest()
