"""The command `python -m benchmarks`: what is not right is said before anything long begins."""

import pytest

from benchmarks.__main__ import REGISTRY, Benchmark, main


@pytest.fixture
def reads(monkeypatch):
    """Puts a benchmark in the list that opens a file."""

    def put(path):
        monkeypatch.setitem(REGISTRY, "reads", Benchmark("x:y", 1, "opens a file", {}))
        monkeypatch.setattr(Benchmark, "run", lambda self, seed: path.read_bytes())

    return put


def test_a_data_set_without_its_file_is_bad_input_and_another_missing_file_is_a_fault(
    reads, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("CONFIDE_EVAL_DATA", str(tmp_path / "data"))
    reads(tmp_path / "data" / "scifact" / "corpus.jsonl")
    assert main(["reads"]) == 2
    assert "corpus.jsonl is not here" in capsys.readouterr().err
    reads(tmp_path / "elsewhere.txt")
    with pytest.raises(FileNotFoundError):
        main(["reads"])


def test_a_report_that_cannot_be_saved_is_told_before_anything_is_measured(reads, tmp_path, capsys):
    reads(tmp_path / "never read")
    assert main(["reads", "--save", str(tmp_path)]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_a_run_that_fails_leaves_no_empty_report(reads, tmp_path):
    reads(tmp_path / "none")
    with pytest.raises(FileNotFoundError):
        main(["reads", "--save", str(tmp_path / "folder" / "report.json")])
    assert list((tmp_path / "folder").iterdir()) == []
