"""What the application logs holds no personal data. (S10; OWASP LLM02:2025)"""

import logging
import subprocess
import sys

from assistant import console
from privacy.logs import RedactingFormatter


def test_a_log_line_and_its_traceback_hold_no_personal_data(capsys):
    log = logging.getLogger("tests.redaction")
    log.propagate = False
    handler = logging.StreamHandler()
    handler.setFormatter(RedactingFormatter(logging.Formatter("%(levelname)s %(message)s")))
    log.addHandler(handler)
    try:
        try:
            raise ValueError("no account for max@web.de")
        except ValueError:
            log.exception("question of %s failed", "0151 23456789")
    finally:
        log.removeHandler(handler)
    said = capsys.readouterr().err
    assert "ERROR question of <phone:" in said
    assert "ValueError: no account for <email:" in said
    assert "web.de" not in said


def test_the_command_lines_log_is_redacted(monkeypatch, capsys):
    root = logging.getLogger()
    before = root.handlers[:]
    monkeypatch.setattr(root, "handlers", [])
    console.log(verbose=False)
    try:
        logging.getLogger("x").warning("no answer for %s", "max@web.de")
        assert "<email:" in capsys.readouterr().err
        assert all(isinstance(handler.formatter, RedactingFormatter) for handler in root.handlers)
    finally:
        root.handlers[:] = before


def test_setting_up_the_log_loads_no_number_plans():
    code = "import privacy.logs, assistant.console, sys; print('phonenumbers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
