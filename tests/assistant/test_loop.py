"""The loop ends each turn somewhere, goes on after a crash at any step, and tells adapters what was withdrawn."""

import math

import pytest
from rated import House

from assistant import exam
from assistant import loop as loops
from assistant.adapters import CONFIG, WEIGHTS, sha256_of
from assistant.core import Assistant
from assistant.engines.echo import EchoEngine
from assistant.errors import AdapterRefused, BadInput
from assistant.feedback import Opinion
from assistant.finetune import Trained
from assistant.lessons import Lessons
from assistant.loop import EXAM, Loop
from assistant.retrieval.search import Searcher
from assistant.rows import Base, LessonRow
from assistant.runs import Plan
from assistant.settings import LoopSettings, PrivacySettings
from assistant.trainer import State
from assistant.trainer import Trainer as BackgroundTrainer
from assistant.tuning.private import Goal
from assistant.types import Adapter
from privacy.ledger import Ledger
from privacy.types import PrivacyBudget


class Killed(BaseException):
    """The process dies here."""


class Trainer:
    """Stands for the background trainer: makes its adapter at once, or dies, or says no."""

    def __init__(self, assistant):
        self.assistant, self.state = assistant, State()
        self.starts, self.resumed, self.goals, self.after, self.refuse = [], [], [], "", ""

    def start(self, plan, *, collection, resume, share, use=True, goal=None):
        self.starts.append(plan)
        self.goals.append(goal)
        self.resumed.append(resume)
        if self.after == "start":
            raise Killed
        made = self.make(plan)
        if self.after == "adapter":
            raise Killed
        if not use:
            self.state = State("done", plan, trained=Trained(made, None, "it was to be kept aside"))
            return
        if self.refuse:
            self.state = State("done", plan, trained=Trained(made, None, self.refuse))
            return
        self.assistant.hosting.deployments.split("default", collection, made.id, share=share)
        self.state = State("done", plan, trained=Trained(made, None))

    def wait(self, seconds=None):
        return self.state

    def make(self, plan):
        card = Adapter(
            plan.name, 0, "", "chat", "tiny", "", "", 2, 2.0, ("q",), data_sha256=sha256_of(plan.data), created="2026"
        )

        def write(folder):
            (folder / WEIGHTS).write_bytes(b"weights")
            (folder / CONFIG).write_text("{}")

        return self.assistant.hosting.shelf.save(card, write)


@pytest.fixture
def world(tmp_path):
    house = House(tmp_path)
    house.assistant = Assistant(
        settings=house.settings, store=house.store, searcher=Searcher(house.store, house.settings), engine=EchoEngine()
    )
    house.trainer = Trainer(house.assistant)
    house.loop = Loop(house.assistant, house.trainer)
    yield house
    house.store.close()


def praised(world, *numbers):
    for n in numbers:
        world.rate(n, customer=f"u{n}", rating="up", correction="")


def test_a_turn_goes_to_a_trial_and_from_there_live_or_back(world, monkeypatch):
    praised(world, 1, 2)
    world.loop.begin("shop", by="ada")
    turn = world.loop.settle("shop")
    assert (turn.state, turn.lessons, turn.adapter) == ("trial", 2, "loop-shop-1@1")
    with pytest.raises(BadInput, match="under way"):
        world.loop.begin("shop", by="ada")
    monkeypatch.setattr(loops.finetune, "promote", lambda *_, **__: None)
    assert world.loop.conclude(turn, keep=True).state == "live"
    assert world.loop.rollback("shop").state == "returned"
    praised(world, 3)
    world.loop.begin("shop", by="ada")
    second = world.loop.settle("shop")
    assert second.lessons == 3
    assert world.loop.conclude(second, keep=False).state == "returned"
    live = world.assistant.hosting.deployments.current("default", "shop")
    assert live.challenger == ""


def on_trial(world, lesson=1):
    praised(world, lesson)
    world.loop.begin("shop", by="ada")
    return world.loop.settle("shop")


def answering(world):
    live = world.assistant.hosting.deployments.current("default", "shop")
    return live.adapter, live.challenger


def test_the_end_of_a_trial_takes_back_its_own_adapter_and_no_other(world):
    turn = on_trial(world)
    world.assistant.hosting.deployments.put("default", "shop", "hotfix@1")
    assert world.loop.conclude(turn, keep=False).state == "returned"
    assert answering(world) == ("hotfix@1", "")


def test_rolling_back_takes_back_the_last_live_turn_with_its_trial_and_no_other(world, monkeypatch):
    deployments = world.assistant.hosting.deployments
    deployments.put("default", "shop", "old@1")
    monkeypatch.setattr(loops.finetune, "promote", lambda _, made, **__: deployments.put("default", "shop", made.id))
    world.loop.conclude(on_trial(world), keep=True)
    assert answering(world) == ("loop-shop-1@1", "")
    assert (world.loop.rollback("shop").note, answering(world)) == ("rolled back", ("old@1", ""))
    world.loop.conclude(on_trial(world, 2), keep=True)
    deployments.put("default", "shop", "hotfix@1")
    assert "another" in world.loop.rollback("shop").note
    assert answering(world) == ("hotfix@1", "")


def test_nothing_new_starts_nothing(world):
    with pytest.raises(BadInput, match="0 lessons are new"):
        world.loop.begin("shop", by="ada")
    praised(world, 1)
    with pytest.raises(BadInput, match="1 lessons are new, 5 are needed"):
        world.loop.begin("shop", by="ada", least=5)
    assert world.loop.turns("shop") == []
    assert world.loop.begin("shop", by="ada").lessons == 1


def test_what_was_withdrawn_leaves_the_exam_also_where_nothing_new_can_be_redacted(world):
    exam_file = world.loop.folder("shop") / EXAM
    exam.add(exam_file, {"id": "lesson-a1", "language": "en", "answerable": False, "question": "I am Anna. Boots?"})
    settings = world.settings.model_copy(update={"privacy": PrivacySettings(finder="tagger")})
    world.loop.lessons = Lessons(world.store, settings)
    praised(world, 2)
    with pytest.raises(BadInput, match="no adapter called 'names'"):
        world.loop.collect("shop")
    assert not exam_file.exists()


def test_what_the_exam_asks_is_trained_on_in_no_turn(world):
    exam_file, row = world.loop.folder("shop") / EXAM, {"language": "en", "answerable": False}
    praised(world, 1, 2)
    ticket = world.rate(3, customer="u3")
    world.loop.collect("shop")
    with world.store.tables(Base.metadata).begin() as session:
        session.get_one(LessonRow, "a2").question = "Is there parking?"
    world.loop.lessons.decide("a3", "exam", by="ada")
    exam.add(exam_file, {**row, "id": "lesson-a3", "question": world.loop.lessons.find("a3").question.upper()})
    world.loop.begin("shop", by="ada")
    assert "parking" in world.trainer.starts[0].data.read_text()
    assert len(world.trainer.starts[0].data.read_text().splitlines()) == 1  # u1 asked what u3 asked
    world.feedback.rate(ticket, Opinion("down", "Within 60 days.", consent=True), visitor="u3")
    world.loop.collect("shop")
    assert world.loop.lessons.find("a3").state == "waiting"
    assert not exam_file.exists()  # it holds no answer that its customer took back


def test_what_the_gate_refuses_says_why_and_answers_nobody(world):
    praised(world, 1)
    world.trainer.refuse = "answer_facts changed by -0.100"
    world.loop.begin("shop", by="ada")
    turn = world.loop.settle("shop")
    assert (turn.state, turn.note) == ("refused", "answer_facts changed by -0.100")
    assert world.assistant.hosting.deployments.current("default", "shop") is None


@pytest.mark.parametrize("dies", ["prepared", "start", "adapter"])
def test_a_killed_turn_is_taken_up_where_it_was(world, monkeypatch, dies):
    praised(world, 1)
    if dies == "prepared":
        monkeypatch.setattr(world.loop, "_train", lambda *_: (_ for _ in ()).throw(Killed()))
    world.trainer.after = dies
    with pytest.raises(Killed):
        world.loop.begin("shop", by="ada")
    monkeypatch.setattr(loops.finetune, "promote", refusing)
    again = Loop(world.assistant, trainer := Trainer(world.assistant))
    again.settle("shop")
    turn = again.settle("shop")
    assert len(again.turns("shop")) == 1
    assert (turn is None) == (dies == "adapter")
    (ended,) = again.turns("shop")
    assert ended.adapter == "loop-shop-1@1"
    assert ended.state == ("refused" if dies == "adapter" else "trial")
    assert len(trainer.starts) == (0 if dies == "adapter" else 1)


def refusing(*_, **__):
    raise AdapterRefused("no suite has judged it")


def test_a_failed_training_gives_its_lessons_back(world):
    praised(world, 1)
    world.trainer.start = lambda plan, **_: setattr(world.trainer, "state", State("failed", plan, error="loss is nan"))
    world.loop.begin("shop", by="ada")
    turn = world.loop.settle("shop")
    assert (turn.state, turn.note) == ("failed", "loss is nan")
    assert world.loop.lessons.counts("shop") == {"accepted": 1}


def test_withdrawn_lessons_mark_every_adapter_that_learned_from_them(world):
    praised(world, 1, 2)
    world.trainer.refuse = "no"
    for _ in range(2):
        world.loop.begin("shop", by="ada")
        world.loop.settle("shop")
        praised(world, 3 if _ == 0 else 4)
    world.store.remove_conversation("c1", "u1")
    world.loop.collect("shop")
    world.loop.collect("shop")
    for adapter in world.assistant.hosting.shelf.all():
        (note,) = adapter.notes
        assert "1 lesson " in note
    assert [turn.marked for turn in world.loop.turns("shop")] == [1, 1]


def test_the_files_of_a_turn_that_ended_go_with_a_lesson_and_those_of_an_open_one_stay(world):
    files = [world.loop.folder("shop") / name for name in ("turn-1.jsonl", "turn-1-pairs.jsonl")]
    corrected(world, 1, 2)
    world.loop.begin("shop", by="ada")
    assert all(file.is_file() for file in files)
    world.store.remove_conversation("c1", "u1")
    world.loop.collect("shop")
    assert all(file.is_file() for file in files), "its training reads them"
    assert world.loop.settle("shop").state == "trial"
    world.loop.collect("shop")
    assert not any(file.exists() for file in files)


def test_a_turn_whose_lessons_are_all_gone_trains_nothing(world, monkeypatch):
    praised(world, 1)
    monkeypatch.setattr(world.loop, "_train", lambda *_: (_ for _ in ()).throw(Killed()))
    with pytest.raises(Killed):
        world.loop.begin("shop", by="ada")
    monkeypatch.undo()
    world.store.remove_conversation("c1", "u1")
    assert world.loop.settle("shop").state == "empty"
    assert world.trainer.starts == []


def test_a_real_training_ends_the_turn_too(world, tmp_path):
    pytest.importorskip("torch")
    from tiny import llama, save, tokenizer

    praised(world, *range(4))
    loop = Loop(world.assistant, BackgroundTrainer(world.assistant))
    plan = Plan(
        "chat", tmp_path, "", base=str(save(llama(), tmp_path / "base", tokenizer())), rank=2, epochs=1, held_out=0
    )
    loop.begin("shop", by="ada", plan=plan)
    turn = loop.wait("shop")
    assert (turn.state, turn.adapter, turn.lessons) == ("refused", "loop-shop-1@1", 4)
    assert "golden" in turn.note or "suite" in turn.note
    assert world.assistant.hosting.shelf.find(turn.adapter).owners == 4


def corrected(world, *numbers):
    """Lessons with a pair each, accepted."""
    for n in numbers:
        world.rate(n, customer=f"u{n}")
    world.loop.collect("shop")
    for lesson in world.loop.lessons.waiting("shop"):
        world.loop.lessons.decide(lesson.id, "accepted", by="ada")


def preferring(world):
    settings = world.settings.model_copy(update={"loop": LoopSettings(preferences=True)})
    world.assistant.settings = settings


@pytest.mark.parametrize("dies", ["", "start", "adapter"])
def test_pairs_are_learned_after_the_lessons_and_from_what_these_made(world, dies):
    preferring(world)
    corrected(world, 1, 2)
    world.loop.begin("shop", by="ada")
    world.trainer.after = dies
    if dies:
        with pytest.raises(Killed):
            world.loop.settle("shop")
        world.trainer.after = ""
        world.trainer.state = State()
    for _ in range(2):
        world.loop.settle("shop")
    (turn,) = world.loop.turns("shop")
    ended = "refused" if dies == "adapter" else "trial"  # the gate is asked again, and nothing judged it here
    assert (turn.state, turn.lessons, turn.pairs) == (ended, 2, 2)
    first, *_, last = world.trainer.starts
    assert [(one.preference, one.parent, one.data.name) for one in (first, last)] == [
        (False, "", "turn-1.jsonl"),
        (True, "loop-shop-1@1", "turn-1-pairs.jsonl"),
    ]
    assert turn.adapter == "loop-shop-1@2"
    world.store.remove_conversation("c1", "u1")
    world.loop.collect("shop")
    assert all("1 lesson " in one.notes[0] for one in world.assistant.hosting.shelf.all())


def test_a_real_turn_with_pairs_is_on_the_book_as_not_private(world, tmp_path):
    pytest.importorskip("torch")
    from tiny import llama, save, tokenizer

    preferring(world)
    corrected(world, *range(4))
    loop = Loop(world.assistant, BackgroundTrainer(world.assistant))
    base = str(save(llama(), tmp_path / "base", tokenizer()))
    loop.begin("shop", by="ada", plan=Plan("chat", tmp_path, "", base=base, rank=2, epochs=1, held_out=0))
    turn = loop.wait("shop")
    assert (turn.state, turn.adapter) == ("refused", "loop-shop-1@2")
    made = world.assistant.hosting.shelf.find(turn.adapter)
    assert (made.parent, made.task) == ("loop-shop-1@1", "chat")
    assert "pairs" in made.notes[0]
    assert [spend.dataset for spend in made.privacy] == ["turn-1", "turn-1-pairs"]
    book = Ledger(world.settings.data_dir, holder="default").reports()
    assert [book[name].spent for name in ("turn-1", "turn-1-pairs")] == [math.inf, math.inf]


GOAL = Goal(PrivacyBudget(8.0, 1e-5, "customer"))


def test_a_private_turn_stays_private_when_it_is_taken_up_again_and_learns_no_pairs(world):
    preferring(world)
    corrected(world, 1, 2)
    world.trainer.after = "start"
    with pytest.raises(Killed):
        world.loop.begin("shop", by="ada", goal=GOAL)
    world.trainer.after, world.trainer.state = "", State()
    for _ in range(2):
        world.loop.settle("shop")
    assert world.trainer.goals == [GOAL, GOAL]
    assert [plan.preference for plan in world.trainer.starts] == [False, False]
    assert world.loop.turns("shop")[0].state == "trial"


@pytest.mark.slow
def test_a_real_private_turn_is_on_the_book_with_its_epsilon(world, tmp_path):
    pytest.importorskip("torch")
    from tiny import llama, save, tokenizer

    praised(world, *range(6))
    loop = Loop(world.assistant, BackgroundTrainer(world.assistant))
    base = str(save(llama(), tmp_path / "base", tokenizer()))
    plan = Plan("chat", tmp_path, "", base=base, rank=2, epochs=1, batch_size=3, held_out=0)
    loop.begin("shop", by="ada", plan=plan, goal=GOAL)
    turn = loop.wait("shop")
    assert (turn.state, turn.adapter) == ("refused", "loop-shop-1@1"), turn.note
    (spend,) = world.assistant.hosting.shelf.find(turn.adapter).privacy
    assert spend.unit == "customer"
    book = Ledger(world.settings.data_dir, holder="default")
    book.set_budget("turn-1", GOAL.budget)
    assert 0 < book.reports()["turn-1"].spent <= 8.0
