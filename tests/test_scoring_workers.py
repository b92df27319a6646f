"""A reward may hang, crash or end its process: the run goes on, and knows which one it was."""

import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

import psutil
import pytest

from rftcore import parsers, rewards
from rftcore.config import load_recipe
from rftcore.errors import PluginError, RecipeError, RewardError, SampleError
from rftcore.images import Image
from rftcore.plugins import Catalogue
from rftcore.scoring import Scorer
from rftcore.scoring.specs import RewardSpecs
from rftcore.types import Sample, Task, Term

CASES = Path(__file__).parent / "cases"
SAMPLE = Sample("a", "How many?", "5", origin="rows.jsonl row 3")
HANG_GUARD_S = 60


@pytest.fixture(autouse=True)
def wild(monkeypatch):
    """The module of misbehaving rewards, where a spawned worker finds it too."""
    monkeypatch.syspath_prepend(str(CASES))
    import wild_rewards

    return wild_rewards


@pytest.fixture
def scorer():
    made = []

    def make(accuracy=rewards.exact, *, parser=None, **options):
        terms = {name: Term(options.pop(name)) for name in list(options) if callable(options[name])}
        task = Task(
            "t", "none", str, parser or parsers.Integer(), {"accuracy": Term(accuracy), **terms}
        )
        options = {"workers": 1, "timeout_s": 0.3, **options}
        made.append(Scorer(task, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize(
    ("name", "kind", "note"),
    [
        ("right", "ok", ""),
        ("raises", "error", "KeyError: 'gone'"),
        ("no_number", "error", "not finite"),
        ("sleeps", "timeout", "no result within 0.3 s"),
        ("runs_away", "timeout", "no result within 0.3 s"),
        ("never_returns_to_python", "timeout", "had to be killed"),
        ("kills_its_process", "error", "its process ended with code 7"),
        ("crashes", "error", "its process ended with signal SIGSEGV"),
    ],
)
def test_whatever_a_slow_reward_does_has_a_name_and_the_next_call_works(
    wild, scorer, name, kind, note
):
    many = scorer(extra=getattr(wild, name), other=wild.right)

    for _ in range(2):
        parts = many.score(["5"], [SAMPLE])[0].parts
        assert (parts["extra"].kind, note in parts["extra"].note) == (kind, True)
        assert parts["extra"].value == (1.0 if kind == "ok" else None)
        assert parts["other"].value == 1.0


@pytest.mark.parametrize("name", ["imports_first", "imports_in_a_worker"])
def test_a_deadline_waits_for_an_import_which_would_be_left_in_half(wild, scorer, name):
    sys.modules.pop("slow_import", None)
    many = scorer(extra=getattr(wild, name))

    for _ in range(2):
        part = many.score(["5"], [SAMPLE])[0].parts["extra"]
        assert (part.kind, part.note) == ("ok", "")


def test_a_slow_reward_runs_elsewhere_and_the_others_here(wild, scorer):
    parts = scorer(extra=wild.says_where).score(["5"], [SAMPLE])[0].parts

    assert parts["extra"].note != str(os.getpid())
    assert scorer(extra=wild.says_where, workers=0).score(["5"], [SAMPLE])[0].parts[
        "extra"
    ].note == str(os.getpid())


def test_results_are_in_the_order_of_the_batch_however_they_arrive(wild, scorer):
    answers = [str(number) for number in range(10)]
    many = scorer(extra=wild.waits_by_answer, workers=3, timeout_s=20)

    scores = many.score(answers, [SAMPLE] * 10)

    assert [score.parts["extra"].note for score in scores] == answers


def test_calls_at_once_take_several_processes(wild, scorer):
    many = scorer(extra=wild.says_where, workers=2, timeout_s=20)

    notes = {score.parts["extra"].note for score in many.score(["5"] * 50, [SAMPLE] * 50)}

    assert 1 <= len(notes) <= 2
    assert len(many._pool._workers) == 2


def test_accuracy_may_be_slow_and_the_others_still_receive_correct(wild, scorer):
    seen = []

    @rewards.reward(uses=("correct",))
    def looks(x):
        seen.append(x.correct)
        return 0.0

    scorer(wild.right, extra=looks).score(["5", "6"], [SAMPLE] * 2)

    assert seen == [True, False]


def test_options_travel_with_a_reward(wild, scorer):
    part = scorer(extra=wild.offset).score(["5"], [SAMPLE])[0].parts["extra"]

    assert (part.value, part.note != str(os.getpid())) == (7, True)


def test_isolated_every_reward_runs_elsewhere(wild, scorer):
    parts = scorer(extra=wild.quickly_says_where, isolate_all=True).score(["5"], [SAMPLE])[0].parts

    assert parts["extra"].note != str(os.getpid())
    assert parts["accuracy"].value == 1


def test_outside_the_main_thread_a_call_still_ends(wild, scorer):
    many, scores = scorer(extra=wild.endless), []
    thread = threading.Thread(target=lambda: scores.extend(many.score(["5"], [SAMPLE])))
    thread.start()
    thread.join(HANG_GUARD_S)

    assert scores[0].parts["extra"].kind == "timeout"
    assert scores[0].parts["accuracy"].value == 1


def test_a_slow_reward_that_no_worker_can_make_is_an_error_at_once(scorer):
    broken = rewards.reward(slow=True)(lambda x: 1.0)
    with pytest.raises(PluginError, match=r"'extra' must run in a worker.*cannot be pickled"):
        scorer(extra=broken)
    assert scorer(extra=broken, workers=0).score(["5"], [SAMPLE])[0].total == 2


def test_a_worker_makes_a_closure_by_the_recipe(tmp_path):
    (tmp_path / "tasks.py").write_text(CLOSURE)
    recipe = load_recipe(
        ("test", {"task": f"{tmp_path}/tasks.py:closed", "task_options": {"by": 3}})
    )
    with Scorer.of(Catalogue.load().task_of(recipe), recipe) as scorer:
        assert scorer.score(["5"], [SAMPLE])[0].parts["extra"].value == 8


CLOSURE = """
import rftcore as rft

class Whole(int):
    pass

class Wholes(rft.parsers.Integer):
    def parse(self, completion):
        return rft.Parsed(Whole(super().parse(completion).value))

def closed(by: int = 1) -> rft.Task:
    @rft.rewards.reward(slow=True)
    def offset(x):
        return x.answer + by

    terms = {"accuracy": rft.Term(rft.rewards.exact), "extra": rft.Term(offset)}
    return rft.Task("closed", rft.JsonlDataset("none.jsonl"), str, Wholes(), terms)
"""


def test_a_reward_sees_its_sample_wherever_it_runs(wild, scorer, tmp_path):
    (tmp_path / "a.png").write_bytes(b"123")
    images = (
        Image.from_path(tmp_path / "a.png"),
        Image.from_bytes(b"12345"),
        Image("lazy", lambda: b"1"),
    )
    meta = MappingProxyType({"colours": MappingProxyType({"red": 4})})
    sample = Sample("a", "?", "5", images, meta=meta)

    part = scorer(extra=wild.looks).score(["5"], [sample])[0].parts["extra"]

    assert part.note == "[3, 5, 1] 4"


def test_an_unreadable_image_is_bad_data_if_the_reward_reads_it(wild, scorer):
    def missing():
        raise FileNotFoundError("gone")

    sample = Sample("a", "?", "5", (Image("lost", missing),), origin="rows.jsonl row 8")
    with pytest.raises(SampleError, match=r"row 8: reward 'extra': image lost: FileNotFound"):
        scorer(extra=wild.looks).score(["5"], [sample])
    assert scorer(extra=wild.right).score(["5"], [sample])[0].total == 2


def test_an_answer_that_cannot_travel_names_the_reward(wild, scorer):
    class Odd(parsers.Integer):
        def parse(self, completion):
            return super().parse(completion).__class__(lambda: 5)

    with pytest.raises(PluginError, match=r"'extra' .* rows.jsonl row 3 cannot be pickled"):
        scorer(extra=wild.right, parser=Odd()).score(["5"], [SAMPLE])


def test_past_the_budget_the_batch_is_left_at_once(wild, scorer):
    many = scorer(extra=wild.sleeps, error_budget=1)
    start = time.monotonic()
    with pytest.raises(RewardError, match=r"'extra' failed on rows.jsonl row 3: no result.*fail"):
        many.score(["5"] * 200, [SAMPLE] * 200)  # which would take a minute

    assert time.monotonic() - start < HANG_GUARD_S / 2


def test_a_worker_that_was_killed_between_two_batches_is_replaced(wild, scorer):
    many = scorer(extra=wild.right)
    many.score(["5"], [SAMPLE])
    many._pool._workers[0]._process.kill()
    many._pool._workers[0]._process.join()

    kinds = [many.score(["5"], [SAMPLE])[0].parts["extra"].kind for _ in range(2)]
    assert kinds[1] == "ok"


def program(reward):
    """Code that scores one completion with a reward of `wild_rewards`, in a worker."""
    return f"""
import sys; sys.path.insert(0, {str(CASES)!r})
import wild_rewards
from rftcore import parsers
from rftcore.scoring import Scorer
from rftcore.scoring.specs import RewardSpecs
from rftcore.types import Sample, Task, Term
if __name__ == "__main__":
    task = Task("t", "none", str, parsers.Integer(), {{"accuracy": Term(wild_rewards.{reward})}})
    scorer = Scorer(task, workers=1, timeout_s=3)
    print(scorer.score(["5"], [Sample("a", "?", "5")])[0].total)
"""


def test_a_run_ends_although_a_worker_waits():
    done = subprocess.run(
        [sys.executable, "-c", program("right")],
        capture_output=True,
        text=True,
        timeout=HANG_GUARD_S,
    )

    assert (done.stdout, done.returncode) == ("1.0\n", 0)


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="of POSIX")
def test_a_worker_that_is_stuck_in_c_ends_although_its_parent_was_killed(tmp_path):
    where = tmp_path / "pid"
    code = program("shows_where_and_never_returns")
    parent = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "WHERE": str(where)})
    wait_until(lambda: where.exists() and where.read_text())
    parent.kill()
    parent.wait()

    worker = int(where.read_text())
    assert runs(worker)
    wait_until(lambda: not runs(worker))


def runs(pid):
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def wait_until(true):
    end = time.monotonic() + HANG_GUARD_S
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="of POSIX")
def test_what_a_reward_has_started_ends_with_its_process(scorer, wild, tmp_path, monkeypatch):
    where = tmp_path / "pid"
    monkeypatch.setenv("WHERE", str(where))
    (score,) = scorer(extra=wild.starts_a_process_and_crashes).score(["5"], [SAMPLE])

    assert "SIGSEGV" in score.parts["extra"].note
    wait_until(lambda: not runs(int(where.read_text())))


def test_isolation_needs_a_process():
    with pytest.raises(RecipeError, match=r"scoring.isolate_all = True .*scoring.workers is 0"):
        load_recipe(("test", {"task": "t", "scoring": {"workers": 0, "isolate_all": True}}))


def test_a_batch_systems_sigterm_in_the_middle_of_a_call_fails_no_reward(scorer, wild):
    made = scorer(extra=wild.terminated_at_work, workers=1)
    (score,) = made.score(["5"], [Sample("a", "?", "5")])

    assert (score.parts["extra"].kind, score.parts["extra"].value) == ("ok", 1.0)


@pytest.mark.parametrize(("name", "known"), [("python:t", False), ("t", True)])
def test_a_task_that_is_an_object_of_this_program_is_not_looked_up_by_a_worker(name, known):
    task = Task("t", "none", str, parsers.Integer(), {"accuracy": Term(rewards.exact)})
    specs = RewardSpecs.of(task, load_recipe(("test", {"task": name})))

    assert (specs.recipe is not None) is known
