"""The command line as a user meets it: exit codes, stdout, stderr. Real ingest, shipped fakes for the models."""

import errno
import getpass
import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from shelves import CARD, write

from assistant.adapters import Shelf
from assistant.commands import run
from assistant.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = '[model]\nengine = "echo"\n[retrieval]\nembedder = "hashing"\n'
RETURNS = (
    "# Returns\n\nYou can return unused items within 14 days of delivery.\n\n# Delivery\n\nDelivery costs 4.90 EUR.\n"
)


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """An empty folder with settings for the fakes; commands run in it."""
    (tmp_path / "confide.toml").write_text(SETTINGS)
    (tmp_path / "returns.md").write_text(RETURNS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONFIDE_SETTINGS", str(tmp_path / "confide.toml"))
    return tmp_path


@pytest.fixture
def filled(shop, capsys):
    """The same with one document in the collection."""
    assert run(["ingest", "returns.md"]) == 0
    capsys.readouterr()
    return shop


def says(capsys, *arguments, code=0):
    """stdout, after checking the exit code."""
    found = run(list(arguments))
    captured = capsys.readouterr()
    assert found == code, captured.err
    return captured.out


def complains(capsys, *arguments, code=2):
    """stderr, after checking the exit code and that it is no traceback."""
    found = run(list(arguments))
    captured = capsys.readouterr()
    assert found == code, captured.err
    assert captured.err.strip()
    assert "Traceback" not in captured.err
    return captured.err


def test_help_lists_every_subcommand(capsys):
    shown = says(capsys, "--help")
    for name in ("ask", "ingest", "collections", "documents", "models", "evaluate", "serve", "doctor"):
        assert f"\n  {name} " in shown


@pytest.mark.parametrize(
    "words",
    [
        ["ask"],
        ["ingest"],
        ["documents", "list"],
        ["documents", "remove"],
        ["models", "pull"],
        ["evaluate"],
        ["serve"],
        ["doctor"],
    ],
)
def test_every_subcommand_has_help(capsys, words):
    assert "Usage:" in says(capsys, *words, "--help")


def test_the_version_is_printed(capsys):
    assert says(capsys, "--version").strip()[0].isdigit()


@pytest.mark.parametrize(
    "words",
    [
        ["aks", "x"],
        ["ask"],
        ["ask", "  "],
        ["ask", "x", "--jsn"],
        ["ingest"],
        ["ingest", "nowhere"],
        ["evaluate", "nowhere.jsonl"],
        ["documents", "list", "-c", "none"],
        ["documents", "remove", "x", "-c", "none"],
        ["--settings", "nowhere.toml", "collections"],
        ["serve", "--port", "ninety"],
        ["ask", "x", "--history", "nowhere.json"],
        ["ingest", "returns.md", "--company", "nowhere.json"],
        ["models", "use", "no-such-model"],
        ["models", "pull", "no-such-model"],
        ["models", "use", "folder"],
        ["models", "use", "no-such.gguf"],
        ["models", "use", "fake.gguf"],
        ["conversations", "export", "folder.csv"],
        ["conversations", "export", "nowhere/talks.csv"],
        ["conversations", "list", "--limit", "99999999999999999999"],
        ["conversations", "sweep", "--days", "99999999999"],
        ["keys", "create", "x", "--per-day", "99999999999999999999"],
        ["keys", "create", "x", "--per-minute", "99999999999999999999"],
        ["--data-dir", "returns.md", "collections"],
    ],
)
def test_bad_input_is_code_2_and_a_sentence(shop, capsys, words):
    (shop / "folder").mkdir()
    (shop / "folder.csv").mkdir()
    (shop / "fake.gguf").write_bytes(b"no model")
    before = (shop / "confide.toml").read_text()
    complains(capsys, *words)
    assert (shop / "confide.toml").read_text() == before


def test_a_wrong_setting_is_named(shop, capsys):
    (shop / "confide.toml").write_text('[server]\nport = "many"\n')
    assert "server.port" in complains(capsys, "collections")


def test_ingest_tells_a_verdict_a_file(shop, capsys):
    (shop / "bad.pdf").write_bytes(b"not a pdf")
    shown = json.loads(says(capsys, "ingest", "returns.md", "bad.pdf", "--json"))
    assert {file["name"]: file["verdict"] for file in shown["files"]} == {"returns.md": "added", "bad.pdf": "refused"}
    assert next(file["reason"] for file in shown["files"] if file["name"] == "bad.pdf")


def test_ingest_of_nothing_but_refused_files_is_code_2(shop, capsys):
    (shop / "bad.pdf").write_bytes(b"not a pdf")
    assert run(["ingest", "bad.pdf"]) == 2


def test_a_second_ingest_changes_nothing(filled, capsys):
    shown = json.loads(says(capsys, "ingest", "returns.md", "--json"))
    assert [file["verdict"] for file in shown["files"]] == ["unchanged"]


def test_documents_are_listed_and_removed(filled, capsys):
    assert "returns.md" in says(capsys, "documents", "list")
    assert "Did you mean" in complains(capsys, "documents", "remove", "return.md")
    says(capsys, "documents", "remove", "returns.md")
    assert json.loads(says(capsys, "documents", "list", "--json")) == []


def test_the_log_says_who_at_the_console_changed_what(filled, capsys, monkeypatch):
    monkeypatch.setattr(getpass, "getuser", lambda: "ada")
    (filled / "letter.md").write_text("# A letter\n\nThe blue tent leaks.\n")
    (filled / "goods.csv").write_text("id,name,price\ntent,Tent,90\n")
    for words in (
        "ingest letter.md --customer nobody@example.org", "keys create backend", "keys revoke backend", "accounts add bob", "accounts remove bob",
        "catalog import goods.csv", "adapters use none", "curated add Kayaks? --answer No.",
        "conversations export talks.csv", "privacy forget nobody@example.org --yes", "documents remove returns.md",
    ):  # fmt: skip
        says(capsys, *words.split())
    log = json.loads(says(capsys, "accounts", "log", "--json"))
    assert [one["action"] for one in reversed(log)] == [
        "document.add", "document.add", "key.create", "key.revoke", "account.add", "account.remove", "goods.import", "adapter.use",
        "answer.approve", "conversations.export", "privacy.forget", "document.remove",
    ]  # fmt: skip
    assert {one["who"] for one in log[:-1]} == {"console: ada"}
    assert "nobody" not in json.dumps(log)


def test_collections_are_listed(filled, capsys):
    (info,) = json.loads(says(capsys, "collections", "--json"))
    assert (info["name"], info["documents"], info["embedder"]) == ("shop", 1, "hashing")
    assert "shop" in says(capsys, "collections")


def test_a_company_is_kept_with_its_collection(filled, capsys):
    (filled / "company.json").write_text(
        json.dumps(
            {
                "name": "Ridge",
                "name_zh": "岭",
                "languages": ["en", "zh"],
                "examples": {"en": ["How?"]},
                "contact": "a@b.example",
            }
        )
    )
    says(capsys, "ingest", "returns.md", "--company", "company.json")
    (info,) = json.loads(says(capsys, "collections", "--json"))
    assert info["company"] == {
        "names": {"en": "Ridge", "zh": "岭"},
        "examples": {"en": ["How?"]},
        "contact": "a@b.example",
    }
    (filled / "company.json").write_text('{"names": 1}')
    complains(capsys, "ingest", "returns.md", "--company", "company.json")


def test_ask_prints_one_json_object_and_nothing_else(filled, capsys):
    answer = json.loads(says(capsys, "ask", "How many days do I have to return unused items?", "--json"))
    assert {"outcome", "text", "citations", "hits", "engine", "model", "adapter", "receipt", "seconds"} <= set(answer)
    assert answer["engine"] == "echo"
    for citation in answer["citations"]:
        assert citation["quote"] in RETURNS


def test_ask_prints_text_then_outcome(filled, capsys):
    assert "\n[ANSWERED]" in says(capsys, "ask", "Hello!")
    assert "\n[NEEDS_HUMAN]" in says(capsys, "ask", "I want to talk to a human")


def test_ask_takes_the_earlier_messages(filled, capsys):
    history = filled / "history.json"
    history.write_text(
        json.dumps([{"role": "user", "text": "Can I return unused items?"}, {"role": "assistant", "text": "Yes."}])
    )
    answer = json.loads(says(capsys, "ask", "within how many days?", "--history", "history.json", "--json"))
    assert "return" in answer["receipt"]["query"]
    history.write_text('[{"role": "system", "text": "x"}]')
    assert "neither user nor assistant" in complains(capsys, "ask", "x", "--history", "history.json")


def test_ask_of_an_unknown_collection_proposes_the_nearest(filled, capsys):
    assert 'Did you mean "shop"' in complains(capsys, "ask", "x y", "--collection", "shopp")


def test_evaluate_prints_saves_and_compares(filled, capsys):
    golden = {
        "id": "1",
        "question": "Within how many days can I return unused items?",
        "answerable": True,
        "gold": [{"document": "returns.md", "quote": "within 14 days"}],
        "facts": [["14 days"]],
    }
    (filled / "g.jsonl").write_text(json.dumps(golden))
    report = json.loads(says(capsys, "evaluate", "g.jsonl", "--json", "--save", "r.json", "--details", "d.jsonl"))
    assert report == json.loads((filled / "r.json").read_text(encoding="utf-8"))
    assert report["suite"] == "g"
    assert next(m["value"] for m in report["measures"] if m["name"] == "recall@5") == 1.0
    assert json.loads((filled / "d.jsonl").read_text(encoding="utf-8"))["id"] == "1"
    assert "recall@5" in says(capsys, "evaluate", "g.jsonl", "--compare", "r.json")
    (filled / "g.jsonl").write_text(
        json.dumps({**golden, "gold": [{"document": "returns.md", "quote": "on the moon"}]})
    )
    (filled / "r.json").write_text(
        json.dumps({**report, "measures": [{"name": "recall@5", "value": 1.0, "low": 0.9, "high": 1.0, "n": 9}]})
    )
    assert "Regression: recall@5" in complains(capsys, "evaluate", "g.jsonl", "--compare", "r.json", code=1)


def test_evaluate_lists_the_faults_of_a_golden_file(filled, capsys):
    (filled / "g.jsonl").write_text('{}\n{"id": 1}')
    message = complains(capsys, "evaluate", "g.jsonl")
    assert "line 1" in message
    assert "line 2" in message


def test_models_are_listed_with_size_and_licence(shop, capsys):
    listed = json.loads(says(capsys, "models", "list", "--json"))
    assert any(model["name"] == "smollm2-135m" for model in listed)
    assert all(model["licence"] and model["size"] for model in listed)
    assert sum(model["recommended"] for model in listed) == 1


def test_pull_asks_before_it_downloads(shop, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO())
    message = complains(capsys, "models", "pull", "qwen2.5-0.5b")
    assert "GB" in message
    assert "Nothing was downloaded" in message


def test_serve_hands_its_flags_to_the_server(shop, monkeypatch):
    served = []
    import assistant.server

    monkeypatch.setattr(assistant.server, "serve", lambda settings, panels, **how: served.append((settings, how)))
    assert (
        run(["--data-dir", str(shop / "elsewhere"), "serve", "--host", "0.0.0.0", "--port", "1234", "--no-browser"])
        == 0
    )
    assert run([]) == 0
    ((flagged, how), (plain, _)) = served
    assert how == {"share": False}
    assert (flagged.server.host, flagged.server.port, flagged.server.open_browser) == ("0.0.0.0", 1234, False)
    assert flagged.data_dir == shop / "elsewhere"
    assert (plain.server.port, plain.server.open_browser) == (7860, True)


def test_the_bare_model_can_answer_a_share_and_a_classifier_is_switched_off(filled, capsys):
    name = Settings().collection
    assert says(capsys, "adapters", "use", "none", "--share", "0.2") == (
        f"{name}: the bare model answers 20% of the conversations.\n"
    )
    now = json.loads(says(capsys, "adapters", "history", "--json"))[0]
    assert (now["adapter"], now["challenger"], now["share"]) == ("built-in", "none", "20%")
    says(capsys, "adapters", "use", "built-in", "--share", "0.3")
    assert json.loads(says(capsys, "adapters", "history", "--json"))[0]["challenger"] == "built-in@1"
    assert says(capsys, "adapters", "use", "none", "--slot", "mood") == f"{name}: mood is switched off.\n"
    assert json.loads(says(capsys, "adapters", "history", "--json"))[0]["adapter"] == "none"
    for option in (("--share", "0.2", "--slot", "mood"), ("--suite", "golden.jsonl")):
        assert option[0] in complains(capsys, "adapters", "use", "none", *option)


def test_the_way_back_that_is_printed_takes_back_what_went_live(tmp_path, capsys):
    pytest.importorskip("torch")
    from assistant.commands.training import _show
    from assistant.finetune import Trained
    from assistant.runs import Plan
    from assistant.tuning.loop import TrainingResult

    for task, back in (("classify", "adapters rollback --slot mood"), ("chat", "adapters rollback`")):
        adapter = Shelf(tmp_path).save(replace(CARD, name="mood", task=task), write)
        result = TrainingResult("finished", 1, (), (), 1, 1, 1.0, "float32")
        plan = Plan(task, tmp_path / "moods.jsonl", "mood")
        _show(plan, Trained(adapter, result), Settings(data_dir=tmp_path), as_json=False)
        assert back in capsys.readouterr().out


def test_an_interrupt_is_code_130(filled, capsys, monkeypatch):
    def interrupted(*_args, **_more):
        raise KeyboardInterrupt

    monkeypatch.setattr("assistant.core.Assistant.ask", interrupted)
    complains(capsys, "ask", "x y", code=130)


def test_a_disk_that_refuses_is_a_sentence(filled, capsys, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    golden = write_golden(filled)
    monkeypatch.setattr("pathlib.Path.write_text", full)
    assert "No space left" in complains(capsys, "evaluate", golden, "--save", "r.json", code=1)


@pytest.mark.parametrize("option", ["--save", "--details"])
def test_a_file_that_cannot_be_written_is_told_before_anything_is_asked(filled, capsys, monkeypatch, option):
    golden = write_golden(filled)
    before = Path(golden).read_bytes()
    monkeypatch.setattr("assistant.core.Assistant.ask", lambda *_, **__: pytest.fail("it was asked"))
    assert "cannot be written" in complains(capsys, "evaluate", golden, option, str(filled))
    assert "the golden file itself" in complains(capsys, "evaluate", golden, option, golden)
    assert Path(golden).read_bytes() == before


def test_a_place_that_the_collection_does_not_have_is_warned_about(filled, capsys):
    golden = {"id": "7", "question": "x", "answerable": True, "gold": [{"document": "nope.md", "quote": "14 days"}]}
    (filled / "g.jsonl").write_text(json.dumps(golden))
    assert "there is no document 'nope.md'" in complains(capsys, "evaluate", "g.jsonl", code=0)


def test_a_report_of_another_golden_file_is_warned_about(filled, capsys):
    says(capsys, "evaluate", write_golden(filled), "--save", "r.json")
    Path("golden.jsonl").write_text(Path("golden.jsonl").read_text() + "\n")
    assert "another golden file" in complains(capsys, "evaluate", "golden.jsonl", "--compare", "r.json", code=0)


def write_golden(folder):
    path = folder / "golden.jsonl"
    path.write_text(json.dumps({"id": "1", "question": "Hello", "answerable": False}))
    return str(path)


@pytest.mark.parametrize(("text", "code"), [("帐篷".encode(), 0), (b"a\xff", 2)])
def test_a_pipe_carries_utf_8_whatever_the_machines_code_page(shop, capsys, monkeypatch, text, code):
    import app

    pipes = [io.BytesIO(text), io.BytesIO()]
    streams = [io.TextIOWrapper(pipe, encoding="cp1252") for pipe in pipes]  # as on Windows
    monkeypatch.setattr(sys, "stdin", streams[0])
    monkeypatch.setattr(sys, "stdout", streams[1])
    monkeypatch.setattr(sys, "argv", ["confide", "privacy", "redact"])
    with pytest.raises(SystemExit) as ended:
        app.main()
    streams[1].flush()
    assert ended.value.code == code
    assert pipes[1].getvalue() == (b"" if code else text)
    assert ("not UTF-8" in capsys.readouterr().err) is bool(code)


def test_a_process_ends_with_the_same_codes(shop):
    done = subprocess.run([sys.executable, ROOT / "app.py", "ask"], cwd=shop, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "QUESTION" in done.stderr
