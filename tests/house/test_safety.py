"""S7: nothing that runs code hidden in data. Our tree, read as syntax. OWASP LLM03, ATLAS AML.T0010."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TREES = ("assistant", "federated", "privacy", "benchmarks", "examples", "docs")
SOURCES = [ROOT / "app.py", *(path for tree in TREES for path in sorted((ROOT / tree).rglob("*.py")))]
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "marshal", "shelve", "cloudpickle", "joblib"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_ATTRIBUTES = {
    ("torch", "load"),
    ("os", "system"),
    ("os", "popen"),
    ("yaml", "load"),
    ("pickle", "load"),
    ("pickle", "loads"),
}
FORBIDDEN_TRUE = {"trust_remote_code", "allow_pickle", "allow_dangerous_deserialization", "shell"}


def faults(source: str) -> list[str]:
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.split(".")[0] in FORBIDDEN_MODULES]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in FORBIDDEN_MODULES:
            found.append(str(node.module))
        elif isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name) and node.func.id in FORBIDDEN_CALLS:
                found.append(node.func.id)
            if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
                pair = (node.func.value.id, node.func.attr)
                found += [".".join(pair)] if pair in FORBIDDEN_ATTRIBUTES else []
            for keyword in node.keywords:
                constant_false = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
                if keyword.arg in FORBIDDEN_TRUE and not constant_false:
                    found.append(f"{keyword.arg}=")
                if keyword.arg == "weights_only" and constant_false:
                    found.append("weights_only=False")
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_source_of_ours_can_run_code_from_data(path):
    assert faults(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import load",
        "torch.load('x')",
        "AutoModel.from_pretrained('x', trust_remote_code=True)",
        "AutoModel.from_pretrained('x', trust_remote_code=flag)",
        "numpy.load('x', allow_pickle=True)",
        "eval('1')",
        "exec('1')",
        "subprocess.run('x', shell=True)",
        "os.system('x')",
    ],
)
def test_the_lint_sees_what_it_forbids(source):
    assert faults(source)


def test_the_lint_lets_safe_code_pass():
    assert faults("re.compile('x'); subprocess.run(['x'], shell=False); model.eval(); load(allow_pickle=False)") == []
