"""The walks ingest, ask and evaluate on the real default model and the demo shop, from the command line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

from assistant.commands import run
from assistant.core import Assistant
from assistant.settings import Settings
from assistant.types import Conversation, Done

ROOT = Path(__file__).resolve().parent.parent.parent
SHOP = ROOT / "examples" / "demo_shop"


def confide(data_dir, *arguments):
    return subprocess.run(
        [sys.executable, str(ROOT / "app.py"), "--data-dir", str(data_dir), *arguments],
        capture_output=True,
        text=True,
        cwd=data_dir,
        timeout=240,
        check=False,
    )


@pytest.fixture(scope="module")
def shop(model_dir):
    documents = SHOP / "documents"
    done = confide(
        model_dir, "ingest", str(documents), "--collection", "shop", "--company", str(SHOP / "company.json"), "--json"
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert {file["verdict"] for file in report["files"]} == {"added"}
    return model_dir


def shows_exact_quotes(answer):
    assert answer["outcome"] == "ANSWERED"
    passages = {hit["passage_id"]: hit["text"] for hit in answer["hits"]}
    assert answer["citations"]
    for citation in answer["citations"]:
        assert passages[citation["passage_id"]][citation["start"] : citation["end"]] == citation["quote"]
        assert answer["text"][citation["answer_start"] : citation["answer_end"]]


def test_a_question_to_the_real_model_is_answered_with_exact_quotes(shop):
    done = confide(shop, "ask", "How many days do I have to return boots?", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    shows_exact_quotes(answer)
    assert answer["engine"] == "hf"
    assert answer["receipt"]["model_sha256"]
    assert answer["receipt"]["usage"]["completion_tokens"] > 0


def ask(assistant, question):
    *_, done = assistant.ask(Conversation(""), question, collection="shop")
    assert isinstance(done, Done)
    return done.answer.to_dict()


@pytest.fixture(scope="module")
def assistant(shop):
    opened = Assistant.open(Settings(data_dir=shop))
    yield opened
    opened.close()


def test_a_word_that_no_document_has_is_no_reason_to_refuse(assistant):
    shows_exact_quotes(ask(assistant, "How many days do I have to return unused boots?"))


def test_a_chinese_question_gets_chinese_quotes_and_the_receipt_says_why(assistant):
    answer = ask(assistant, "退货期限是多少天？")
    shows_exact_quotes(answer)
    assert any("一" <= letter <= "鿿" for letter in answer["text"])
    assert answer["receipt"]["shape"] == "quotes"
    assert any("does not write zh" in note for note in answer["receipt"]["notes"])


def test_evaluate_judges_a_golden_file_with_the_walk_itself(shop, tmp_path, capsys):
    rows = (SHOP / "golden.jsonl").read_text(encoding="utf-8").splitlines()[:4]
    golden = tmp_path / "golden.jsonl"
    golden.write_text("\n".join(rows), encoding="utf-8")
    assert run(["--data-dir", str(shop), "evaluate", str(golden), "--collection", "shop", "--json"]) == 0
    measures = {measure["name"]: measure["value"] for measure in json.loads(capsys.readouterr().out)["measures"]}
    assert measures["citations_exact"] == 1.0
    assert measures["unsupported_facts"] == 0


def test_a_bad_question_and_an_unknown_collection_are_bad_input(shop):
    for arguments in (("ask", ""), ("ask", "hi", "--collection", "shpo")):
        done = confide(shop, *arguments)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
        assert done.stderr.strip()
