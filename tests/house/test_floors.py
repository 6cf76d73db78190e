"""Who may import whom, what an import costs, how long a module is."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("assistant", "federated", "privacy")
MODULES = [ROOT / "app.py", *(path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")))]
HEAVY = ("torch", "gradio", "transformers", "sentence_transformers", "faiss", "sklearn", "peft", "openai", "scipy")


def imported_by(path: Path) -> set[str]:
    """The dotted names a module imports, also inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def test_imports_point_down_only():
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def test_nothing_imports_the_front_door():
    for path in MODULES[1:]:
        assert not any(name.split(".")[0] in ("app", "benchmarks", "tests") for name in imported_by(path)), path


def test_only_the_ui_imports_gradio():
    allowed = (ROOT / "assistant" / "ui", ROOT / "federated" / "panel.py")
    guilty = [
        str(path.relative_to(ROOT))
        for path in MODULES
        if any(name.split(".")[0] == "gradio" for name in imported_by(path))
        and not any(path.is_relative_to(part) for part in allowed)
    ]
    assert not guilty


def test_the_assistant_does_not_know_the_federation():
    for path in (ROOT / "assistant").rglob("*.py"):
        assert not any(name.split(".")[0] == "federated" for name in imported_by(path)), path


@pytest.mark.parametrize(
    "module", ["assistant.core", "assistant.commands", "assistant.ingest", "assistant.evaluate", "app"]
)
def test_importing_a_walk_loads_nothing_heavy(module):
    code = f"import {module}, sys; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_says_what_it_is_and_stays_short(path):
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text)), "no docstring"
    assert len(text.splitlines()) <= 500


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_public_things_have_docstrings(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    public = [node for node in tree.body if getattr(node, "name", "_").startswith("_") is False]
    inner = [child for node in public if isinstance(node, ast.ClassDef) for child in node.body]
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    for node in [*public, *inner]:
        if isinstance(node, definitions) and not node.name.startswith(("_", "test_")):
            assert ast.get_docstring(node), f"{node.name} has no docstring"
