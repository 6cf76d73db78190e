"""The short form of the calibration companies: what it says, what is wrong with it, the documents it becomes."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.calibration import compact

FOLDER = Path(compact.__file__).parent
TEXT = """\
! Kiosk Lune | newspapers and coffee | en
@ returns.md | Returns > Papers
Papers are not taken back. Magazines are, within 3 days! Bring the receipt.
+ can I bring a magazine back? #2
+ what do I need, and by when #2,3
- Do you take books back?
+zh 报纸能退吗？ #1
~ Do you take magazines back? => and papers? #1
~- Do you take magazines back? => and from other shops?
@ returns.md | Returns > Coffee
Coffee beans stay sold.
@ faq.csv | Payment
Can I pay by card? | Yes. Every card, from €5.
+ is there a minimum with cards #2
@ products.csv | Coffee
name: Lune Dark; price: €7.50; ground: at 10:00
+ what's the dark one #price
- is it organic
@ products.csv | Coffee
name: Lune Light; price: €8
"""


def problems(text):
    with pytest.raises(compact.BadCompany) as caught:
        compact.parse(text, "folder/kiosk.txt")
    return str(caught.value).splitlines()


def test_a_company_is_read_whole():
    company = compact.parse(TEXT, "folder/kiosk.txt")
    assert (company.name, company.language, company.file) == ("Kiosk Lune", "en", "kiosk")
    assert [block.kind for block in company.blocks] == ["prose", "prose", "faq", "record", "record"]
    assert company.blocks[0].headings == ("Returns", "Papers")
    assert company.blocks[3].fields == {"name": "Lune Dark", "price": "€7.50", "ground": "at 10:00"}


def test_questions_have_their_gold_language_and_history():
    rows = compact.parse(TEXT, "kiosk.txt").questions()
    assert [row["answerable"] for row in rows] == [True, True, False, True, True, False, True, True, False]
    assert rows[0]["gold"] == [{"document": "returns.md", "quote": "Magazines are, within 3 days!"}]
    assert [gold["quote"] for gold in rows[1]["gold"]] == ["Magazines are, within 3 days!", "Bring the receipt."]
    assert [row["language"] for row in rows[2:5]] == ["en", "zh", "en"]
    assert rows[4]["question"] == "and papers?"
    assert rows[4]["history"] == [
        {"role": "user", "text": "Do you take magazines back?"},
        {"role": "assistant", "text": "..."},
    ]
    assert rows[5]["history"]
    assert not rows[5]["gold"]
    assert rows[6]["gold"] == [{"document": "faq.csv", "quote": "Every card, from €5."}]
    assert rows[7]["gold"] == [{"document": "products.csv", "record": "Lune Dark", "field": "price"}]
    assert len({row["id"] for row in rows}) == len(rows)


def test_documents_hold_what_the_file_says(tmp_path):
    compact.write_documents(compact.parse(TEXT, "kiosk.txt"), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["faq.csv", "products.csv", "returns.md"]
    assert (tmp_path / "returns.md").read_text(encoding="utf-8") == (
        "# Returns\n\n## Papers\n\nPapers are not taken back. Magazines are, within 3 days! Bring the receipt.\n\n"
        "## Coffee\n\nCoffee beans stay sold.\n"
    )
    with (tmp_path / "products.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.DictReader(file)) == [
            {"name": "Lune Dark", "price": "€7.50", "ground": "at 10:00"},
            {"name": "Lune Light", "price": "€8", "ground": ""},
        ]
    with (tmp_path / "faq.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [["question", "answer"], ["Can I pay by card?", "Yes. Every card, from €5."]]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("+ what now", "no # with what answers it"),
        ("+ what now #4", "no sentence '4' of 3"),
        ("+ what now #0", "no sentence '0'"),
        ("+ what now #price", "no sentence 'price'"),
        ("- what now #1", "has no #"),
        ("~ what now #1", "a follow-up is"),
        ("? what now", "not understood"),
        ("! Kiosk", "the first line is"),
        ("@ ../kiosk.md | Returns", "not a document's name"),
    ],
)
def test_what_is_wrong_is_told_with_file_and_line(line, says):
    head = "\n".join(TEXT.splitlines()[:3])
    (problem,) = problems(f"{head}\n{line}\n")
    assert problem.startswith("folder/kiosk.txt:4: ")
    assert says in problem


def test_every_wrong_line_is_told():
    assert len(problems(TEXT + "+ a #colour\n+ b\n+ c #price\n")) == 2


def test_a_document_is_of_one_kind():
    assert "different kinds" in problems(TEXT + "@ products.csv | Coffee\nJust prose.\n")[0]


def test_a_heading_needs_a_text():
    assert "without text" in problems(TEXT + "@ new.md | New\n")[0]


def test_the_oldest_have_no_first_line():
    company = compact.parse("@ 售后.md | 退货\n7天内可以退。拆封不退！\n+ 拆了能退吗 #2\n", "near/yun.txt")
    assert (company.name, company.language) == ("Yun", "zh")
    assert company.questions()[0]["gold"] == [{"document": "售后.md", "quote": "拆封不退！"}]
    assert company.questions()[0]["language"] == "zh"


def test_the_companies_pass_their_check():
    done = subprocess.run([sys.executable, FOLDER / "check.py"], capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-1000:]


def test_what_is_trained_on_is_not_calibrated_on():
    near, apart = ({path.stem for path in (FOLDER / name).glob("*.txt")} for name in ("near", "apart"))
    assert len(near) == 102
    assert len(apart) == 6
    assert not near & apart
