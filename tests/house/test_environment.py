"""The suite on a machine where Confide is in use: it neither follows the settings there nor touches the data."""

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
SEEN = "import conftest, os; print(sorted(name for name in os.environ if name.startswith('CONFIDE_')))"


def test_nobodys_own_settings_reach_the_tests(tmp_path):
    own = {"CONFIDE_DATA_DIR": str(tmp_path), "CONFIDE_MODEL__ENGINE": "hf", "CONFIDE_EVAL_DATA": "kept"}
    path = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    seen = subprocess.run(
        [sys.executable, "-c", SEEN], env={**os.environ, **own, "PYTHONPATH": path}, capture_output=True, text=True
    )
    assert seen.stdout.strip() == "['CONFIDE_EVAL_DATA']", seen.stderr
