"""Files to documents: every broken or hostile file is a verdict, and the others go on."""

import os
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import nasty
import pytest

from assistant.errors import BadInput
from assistant.retrieval import documents
from assistant.retrieval.documents import SourceFile, expand, read_files
from assistant.settings import IngestSettings

LIMITS = IngestSettings()
GOOD = b"You can return an item within 30 days of delivery.\n"


def read(tmp_path, files, *, limits=LIMITS, known=None):
    """name -> result, for files by name with their bytes."""
    folder = tmp_path / "in"
    folder.mkdir()
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    found = expand([folder], limits, tmp_path / "work")
    results = read_files(found, tenant="t", collection="c", limits=limits, known=known or {})
    return {result.name: result for result in results}


NASTY = {
    "empty.txt": (lambda: b"", "empty"),
    "blank.csv": (lambda: b"\xef\xbb\xbf \r\n\n", "empty"),
    "truncated.pdf": (lambda: nasty.pdf([nasty.stream(nasty.line("Hello"))])[:60], "damaged"),
    "truncated.xlsx": (lambda: nasty.xlsx(a=[["x", "y"], ["1", "2"]])[:-300], "damaged"),
    "truncated.docx": (lambda: nasty.docx(("Normal", "Hello"))[:2000], "damaged"),
    "hollow.xlsx": (lambda: nasty.archive({"xl/workbook.xml": b"<nonsense"}), "damaged"),
    "encrypted.pdf": (nasty.encrypted_pdf, "encrypted"),
    "scanned.pdf": (lambda: nasty.pdf([nasty.stream(b"0 0 100 100 re f")]), "scanned"),
    "flate-bomb.pdf": (lambda: nasty.pdf([nasty.stream(nasty.line("x"), padding_mb=300)]), "bomb"),
    "bomb.docx": (nasty.office_bomb, "bomb"),
    "old.doc": (lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "old Word"),
    "locked.xlsx": (lambda: b"\xd0\xcf\x11\xe0" + "EncryptedPackage".encode("utf-16-le") + bytes(600), "encrypted"),
    "picture.txt": (lambda: b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "PNG"),
    "noise.txt": (lambda: bytes(range(1, 256)) * 20, "binary"),
    "text.pdf": (lambda: GOOD, "not a PDF"),
    "slides.pptx": (lambda: nasty.archive({"ppt/presentation.xml": b"<p/>"}), "neither Word nor Excel"),
    "program.py": (lambda: b"print()", "not supported"),
    "wide.csv": (lambda: b"a," * 600 + b"\n" + b"1," * 600, "columns"),
    "script-only.html": (lambda: b"<html><body><script>alert(1)</script></body></html>", "no text"),
}


def test_a_bad_file_is_refused_with_its_reason_and_never_stops_the_others(tmp_path):
    files = {name: make() for name, (make, _) in NASTY.items()}
    results = read(tmp_path, {"a-good.txt": GOOD, **files, "z-good.txt": GOOD})
    assert results["a-good.txt"].document is not None
    assert results["z-good.txt"].document is not None
    for name, (_, reason) in NASTY.items():
        assert results[name].document is None, name
        assert reason in results[name].reason, (name, results[name].reason)


@pytest.mark.parametrize(
    ("name", "make", "kind"),
    [
        ("report.txt", lambda: nasty.pdf([nasty.stream(nasty.line("Hello there, reader."))]), "pdf"),
        ("report.pdf", lambda: nasty.docx(("Normal", "Hello there, reader.")), "docx"),
        ("page.txt", lambda: b"<!DOCTYPE html><html><p>Hello there, reader.</p></html>", "html"),
        ("README", lambda: b"Hello there, reader.", "txt"),
    ],
)
def test_a_wrong_ending_is_read_as_what_the_content_is_and_says_so(tmp_path, name, make, kind):
    result = read(tmp_path, {name: make()})[name]
    assert result.document is not None
    assert (result.document.kind, result.document.text) == (kind, "Hello there, reader.")
    assert "was read as one" in result.reason


def test_a_file_over_the_size_limit_is_refused_unread(tmp_path):
    limits = IngestSettings(max_file_mb=1)
    result = read(tmp_path, {"big.txt": b"a" * (2**20 + 1), "ok.txt": b"a " * 2**19}, limits=limits)
    assert "larger than 1 MB" in result["big.txt"].reason
    assert result["ok.txt"].document is not None


def test_a_file_with_too_much_text_is_refused(tmp_path):
    limits = IngestSettings(max_text_mb=1)
    assert "1 MB of text" in read(tmp_path, {"big.txt": b"word " * 300_000}, limits=limits)["big.txt"].reason


def test_a_file_that_takes_too_long_is_refused_and_the_next_one_is_read(tmp_path):
    slow = nasty.pdf([nasty.stream(nasty.line("x"), padding_mb=20)], pages=200)
    results = read(tmp_path, {"a.pdf": slow, "b.txt": GOOD}, limits=IngestSettings(seconds_per_file=1.5))
    assert "longer than 1.5 seconds" in results["a.pdf"].reason
    assert results["b.txt"].document is not None


GREED = 300_000
GREEDY = b"<html>" + b"<p><b>x</b></p>" * GREED


@pytest.mark.parametrize("alone", ["watch", "worker"])
def test_a_file_that_needs_too_much_memory_is_refused_and_the_next_one_is_read(tmp_path, monkeypatch, alone):
    if alone == "watch":  # a worker that sees no peak and a kernel that keeps no limit, as on macOS
        popen = subprocess.Popen
        monkeypatch.setattr(subprocess, "Popen", lambda command, **how: popen([*command[:-1], "100000"], **how))
    else:
        if not Path("/proc/self/status").exists():
            pytest.skip("needs /proc")
        monkeypatch.setattr(documents._Watch, "_PAUSE", 60.0)
    results = read(tmp_path, {"a.html": GREEDY, "b.txt": GOOD}, limits=IngestSettings(memory_mb=256))
    assert results["a.html"].document is None
    assert "memory" in results["a.html"].reason
    assert results["b.txt"].document is not None


REFUSING = """
import resource

def setrlimit(which, limits):
    raise ValueError("current limit exceeds maximum limit")

resource.setrlimit = setrlimit
"""


def test_a_system_that_refuses_limits_reads_files_all_the_same(tmp_path, monkeypatch):  # as macOS does
    pytest.importorskip("resource")
    (tmp_path / "sitecustomize.py").write_text(REFUSING)
    popen = subprocess.Popen

    def start(command, *, env, **how):
        return popen(command, env={**env, "PYTHONPATH": os.pathsep.join([str(tmp_path), env["PYTHONPATH"]])}, **how)

    monkeypatch.setattr(subprocess, "Popen", start)
    assert read(tmp_path, {"a.txt": GOOD})["a.txt"].document is not None


@pytest.mark.parametrize("memory_mb", [256, 3000])
def test_a_page_is_read_whole_or_not_at_all_whatever_memory_it_has(tmp_path, memory_mb):
    document = read(tmp_path, {"a.html": GREEDY}, limits=IngestSettings(memory_mb=memory_mb))["a.html"].document
    assert document is None or document.text.count("x") == GREED
    assert memory_mb < 3000 or document is not None


def test_a_pdf_of_ten_thousand_pages_is_read_or_refused_within_its_time(tmp_path):
    page = nasty.stream(nasty.line("A sentence on a page."))
    limits = IngestSettings(seconds_per_file=4)
    result = read(tmp_path, {"long.pdf": nasty.pdf([page], pages=10_000)}, limits=limits)["long.pdf"]
    if result.document is not None:
        assert len(result.document.pages) == 10_000
    else:
        assert "seconds" in result.reason


def test_a_worker_that_dies_or_talks_nonsense_costs_one_file(tmp_path, monkeypatch):
    real = documents._check

    def check(answer):
        if "poison" in answer["text"]:
            raise ValueError("offsets")
        real(answer)

    monkeypatch.setattr(documents, "_check", check)
    results = read(tmp_path, {"a.txt": GOOD, "b.txt": b"poison", "c.txt": GOOD})
    assert [bool(result.document) for result in results.values()] == [True, False, True]
    assert "crashed" in results["b.txt"].reason


@pytest.mark.parametrize(
    "change",
    [
        {"pages": [5, 2]},
        {"pages": [999]},
        {"rows": [[3, 1]]},
        {"rows": [[0, 999]]},
        {"headings": [[1, "x", -1]]},
        {"text": None},
        {"notes": [1]},
    ],
)
def test_what_the_worker_says_is_checked(change):
    answer = {"text": "0123456789", "kind": "txt", "pages": [], "rows": [], "headings": [], "notes": []}
    documents._check(answer)
    with pytest.raises((ValueError, TypeError, KeyError)):
        documents._check(answer | change)


def test_an_unchanged_file_is_not_parsed_and_a_changed_one_is(tmp_path, monkeypatch):
    first = read(tmp_path, {"a.txt": GOOD, "b.txt": GOOD})
    known = {"a.txt": first["a.txt"].document.sha256, "b.txt": "0" * 64}
    found = expand([tmp_path / "in"], LIMITS, tmp_path / "work2")
    again = {r.name: r for r in read_files(found, tenant="t", collection="c", limits=LIMITS, known=known)}
    assert again["a.txt"].unchanged
    assert again["a.txt"].document is None
    assert again["b.txt"].document == first["b.txt"].document


def test_an_id_belongs_to_a_tenant_a_collection_a_name_and_a_content(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(GOOD)

    def identity(tenant="t", collection="c", name="a.txt"):
        (result,) = read_files([SourceFile(name, path)], tenant=tenant, collection=collection, limits=LIMITS)
        return result.document.id

    ids = [identity(), identity(), identity(tenant="u"), identity(collection="d"), identity(name="b.txt")]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 4


def test_the_worker_sees_no_secrets(tmp_path, monkeypatch):
    monkeypatch.setenv("CONFIDE_REMOTE__API_KEY", "canary")
    with documents._Worker(LIMITS) as worker:
        worker.parse("a.txt", GOOD)
        environment = Path(f"/proc/{worker._process.pid}/environ")
        if not environment.exists():
            pytest.skip("needs /proc")
        assert b"canary" not in environment.read_bytes()


def test_a_missing_path_is_bad_input(tmp_path):
    with pytest.raises(BadInput, match=r"nothing\.txt"):
        expand([tmp_path / "nothing.txt"], LIMITS, tmp_path)


def test_a_folder_gives_relative_names_in_order_without_hidden_files(tmp_path):
    for name in ("b.txt", "sub/a.txt", ".hidden", ".git/config.txt", "sub/.DS_Store", "~$lock.docx"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(GOOD)
    assert [file.name for file in expand([tmp_path / "in"], LIMITS, tmp_path)] == ["b.txt", "sub/a.txt"]


def test_a_file_alone_is_called_by_its_name_and_names_are_unique(tmp_path):
    for folder in ("x", "y", "z/y"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "faq.csv").write_bytes(GOOD)
    paths = [tmp_path / "x" / "faq.csv", tmp_path / "y" / "faq.csv", tmp_path / "z" / "y" / "faq.csv"]
    assert [file.name for file in expand(paths, LIMITS, tmp_path)] == ["faq.csv", "y/faq.csv", "faq (2).csv"]


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights")
def test_a_link_out_of_the_folder_and_a_pipe_are_refused(tmp_path):
    (tmp_path / "secret.txt").write_bytes(b"secret")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link.txt").symlink_to(tmp_path / "secret.txt")
    os.mkfifo(tmp_path / "in" / "pipe.txt")
    results = list(read_files(expand([tmp_path / "in"], LIMITS, tmp_path), tenant="t", collection="c", limits=LIMITS))
    assert [(r.name, r.document) for r in results] == [("link.txt", None), ("pipe.txt", None)]
    assert "link" in results[0].reason
    assert "regular" in results[1].reason


def test_a_zip_is_read_member_by_member_and_its_bad_members_are_refused(tmp_path):
    link = zipfile.ZipInfo("link.txt")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    path = tmp_path / "all.zip"
    path.write_bytes(
        nasty.archive(
            {
                "good.txt": GOOD,
                "../escape.txt": GOOD,
                "a/../../up.txt": GOOD,
                "/etc/absolute.txt": GOOD,
                "C:\\windows\\x.txt": GOOD,
                "nested.zip": nasty.archive({"x.txt": GOOD}),
                "bomb.txt": nasty.bomb_member(30),
                "sub/folder/good.md": b"# Title\n\nText.",
                "__MACOSX/good.txt": b"junk",
            }
        )
    )
    with zipfile.ZipFile(path, "a") as opened:
        opened.writestr(link, "/etc/passwd")
    found = expand([path], LIMITS, tmp_path / "work")
    results = {r.name: r for r in read_files(found, tenant="t", collection="c", limits=LIMITS)}
    good = {name for name, result in results.items() if result.document}
    assert good == {"good.txt", "sub/folder/good.md"}
    reasons = {name: result.reason for name, result in results.items() if not result.document}
    assert [name for name, reason in reasons.items() if "unsafe" in reason] == [
        "escape.txt",
        "a/up.txt",
        "etc/absolute.txt",
        "C:/windows/x.txt",
    ]
    assert "archive inside" in reasons["nested.zip"]
    assert "bomb" in reasons["bomb.txt"]
    assert "link" in reasons["link.txt"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["all.zip", "work"]
    assert not list(tmp_path.parent.glob("*escape*"))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: nasty.archive({"a.txt": GOOD})[:40], "damaged"),
        (lambda: nasty.archive({}), "empty"),
        (lambda: nasty.archive({f"{n}.txt": nasty.bomb_member(10) for n in range(8)}), "zip bomb"),
        (lambda: nasty.archive({f"{n}.txt": b"" for n in range(10_001)}), "more than 10000"),
    ],
)
def test_a_zip_that_is_no_good_as_a_whole_is_one_verdict(tmp_path, make, reason):
    (tmp_path / "x.zip").write_bytes(make())
    (file,) = expand([tmp_path / "x.zip"], LIMITS, tmp_path / "work")
    assert file.name == "x.zip"
    assert reason in file.problem


def test_names_of_an_old_chinese_zip_are_mended(tmp_path):
    data = bytearray(nasty.archive({"XXXX.txt": GOOD}))
    data = data.replace(b"XXXX", "退货".encode("gb18030"))
    (tmp_path / "x.zip").write_bytes(bytes(data))
    assert [file.name for file in expand([tmp_path / "x.zip"], LIMITS, tmp_path / "work")] == ["退货.txt"]


def test_an_encrypted_member_is_refused(tmp_path):
    data = bytearray(nasty.archive({"a.txt": GOOD}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    (tmp_path / "x.zip").write_bytes(bytes(data))
    (file,) = expand([tmp_path / "x.zip"], LIMITS, tmp_path / "work")
    assert "encrypted" in file.problem
