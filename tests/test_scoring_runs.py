"""A run with rewards that misbehave ends well, or stops in all its processes with their names."""

import os
import re
import socket
import subprocess
import sys
import threading
from dataclasses import asdict
from pathlib import Path

import pytest

from rftcore import distributed, parsers, rewards
from rftcore.errors import RewardError, SampleError
from rftcore.runs import RunFolder
from rftcore.scoring import Scorer
from rftcore.types import Sample, Task, Term

CASES = Path(__file__).parent / "cases"
WILD = ("sleeps", "raises_at_random", "no_number", "kills_its_process", "runs_away")
SAMPLE = Sample("a", "How many?", "5", origin="rows.jsonl row 3")


@pytest.fixture
def wild(monkeypatch):
    monkeypatch.syspath_prepend(str(CASES))
    import wild_rewards

    return wild_rewards


def task(**terms):
    terms = {name: Term(one) for name, one in terms.items()}
    return Task("t", "none", str, parsers.Integer(), {"accuracy": Term(rewards.exact), **terms})


def steps(scorer, number):
    """What GRPO does with a scorer, step after step; the scores of all steps."""
    scores = []
    for step in range(1, number + 1):
        with scorer.collective():
            texts = ["5", "6"]
            scores += scorer.score(texts, [SAMPLE] * 2, step=step, groups=[0, 0], tokens=[1, 1])
    return scores


def test_a_run_full_of_wild_rewards_ends_well_within_its_budget(wild):
    made = task(**{name: getattr(wild, name) for name in WILD})
    failures = []
    with Scorer(made, timeout_s=0.2, workers=2, error_budget=99, record=failures.append) as scorer:
        scores = steps(scorer, 3)

    parts = [(name, part) for score in scores for name, part in score.parts.items()]
    assert [score.total for score in scores] == [None] * 6
    assert {name for name, part in parts if part.failed} == set(WILD)
    assert all(part.value is None for _, part in parts if part.failed)  # nothing is 0.0 by failure
    assert [score.parts["accuracy"].value for score in scores] == [1, 0] * 3
    assert len(failures) == sum(part.failed for _, part in parts)
    assert {(one.reward, one.origin, one.step) for one in failures} >= {
        ("sleeps", SAMPLE.origin, step) for step in (1, 2, 3)
    }


@pytest.mark.parametrize("name", WILD)
def test_a_run_stops_within_its_budget_and_names_the_reward(wild, name):
    failures = []
    with (
        Scorer(
            task(**{name: getattr(wild, name)}),
            timeout_s=0.2,
            workers=1,
            error_budget=1,
            record=failures.append,
        ) as scorer,
        pytest.raises(RewardError, match=rf"{name!r} failed on rows.jsonl row 3: .*failure 2"),
    ):
        steps(scorer, 40)

    assert [one.reward for one in failures] == [name, name]


def test_a_failure_is_stored_with_all_that_is_needed_to_fix_it(tmp_path):
    def broken(x):
        raise KeyError("gone")

    run = RunFolder.create(tmp_path / "run", {})
    scorer = Scorer(
        task(extra=broken), record=lambda f: run.append_jsonl("failures.jsonl", asdict(f))
    )
    steps(scorer, 1)

    first, second = run.read_jsonl("failures.jsonl")
    assert (first["reward"], first["kind"]) == ("extra", "error")
    assert re.fullmatch(r"KeyError: 'gone' \(.*test_scoring_runs.py line \d+\)", first["note"])
    assert (second["at"], second["completion"], second["origin"]) == (1, "6", SAMPLE.origin)
    assert 'raise KeyError("gone")' in first["traceback"]
    assert "calling.py" not in first["traceback"]


def test_the_record_of_failures_does_not_grow_for_ever(tmp_path):
    run = RunFolder.create(tmp_path / "run", {})
    for _ in range(100):
        run.append_jsonl("failures.jsonl", "x" * 50, most_bytes=500)

    assert 500 < (run.path / "failures.jsonl").stat().st_size < 600


# --- several processes --------------------------------------------------------


class Processes:
    """Threads that stand in for processes: `all_gather` waits for all of them."""

    def __init__(self, number):
        self._items = [None] * number
        self._barrier = threading.Barrier(number, timeout=30)

    def all_gather(self, mine):
        self._items[int(threading.current_thread().name)] = mine
        self._barrier.wait()
        items = list(self._items)
        self._barrier.wait()
        return items

    def run(self, *works):
        """What each of them raised, or returned."""
        ends = [None] * len(works)

        def run(rank, work):
            try:
                ends[rank] = work()
            except Exception as error:
                ends[rank] = error

        threads = [
            threading.Thread(target=run, args=(rank, work), name=str(rank))
            for rank, work in enumerate(works)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return ends


def fails_on(bad):
    def fails(x):
        if x.answer in bad:
            raise ValueError(f"no {x.answer}")
        return 1.0

    return fails


def in_two_processes(monkeypatch, works, **options):
    """Score each batch in a process of its own, in one step; how each of them ended."""
    together = Processes(len(works))
    monkeypatch.setattr(distributed, "all_gather", together.all_gather)
    recorded = []

    def scoring(texts, sample):
        record = recorded.append if texts is works[0][0] else None
        scorer = Scorer(task(extra=fails_on({6})), workers=0, record=record, **options)

        def work():
            with scorer.collective():
                return len(scorer.score(texts, [sample] * len(texts)))

        return work

    return together.run(*(scoring(*work) for work in works)), recorded


def test_the_processes_go_on_together_and_the_first_keeps_all_failures(monkeypatch):
    ends, recorded = in_two_processes(
        monkeypatch, [(["5", "6"], SAMPLE), (["6"] * 3, SAMPLE)], error_budget=4
    )

    assert ends == [2, 3]
    assert [one.at for one in recorded] == [1, 0, 1, 2]


def test_a_process_past_the_budget_stops_the_others_with_its_reason(monkeypatch):
    (first, second), recorded = in_two_processes(
        monkeypatch, [(["5"], SAMPLE), (["6"] * 3, SAMPLE)], error_budget=2
    )

    assert isinstance(second, RewardError)
    assert isinstance(first, RewardError)
    assert "rank 1 of 2 stopped: reward 'extra' failed on rows.jsonl row 3" in str(first)
    assert len(recorded) == 3


def test_the_budget_is_of_all_processes(monkeypatch):
    ends, _ = in_two_processes(monkeypatch, [(["6", "6"], SAMPLE), (["6"], SAMPLE)], error_budget=2)

    assert [str(end) for end in ends] == [str(ends[0])] * 2
    assert "3 reward calls failed on 2 ranks and scoring.error_budget is 2" in str(ends[0])
    assert "reward 'extra' on rows.jsonl row 3: ValueError: no 6" in str(ends[0])


def test_bad_data_of_one_process_stops_all(monkeypatch):
    bad = Sample("b", "?", "five", origin="rows.jsonl row 9")
    (first, second), _ = in_two_processes(monkeypatch, [(["5"], SAMPLE), (["5"], bad)])

    assert (type(first), type(second)) == (SampleError, SampleError)
    assert str(first) == f"rank 1 of 2 stopped: {second}"


TWO = """
import os
import re
from rftcore import parsers, rewards
from rftcore.errors import RftError
from rftcore.scoring import Scorer
from rftcore.types import Sample, Task, Term

def fails(x):
    if os.environ["RANK"] == "1":
        raise ValueError("only here")
    return 1.0

terms = {"accuracy": Term(rewards.exact), "extra": Term(fails)}
scorer = Scorer(Task("t", "none", str, parsers.Integer(), terms), error_budget=1)
try:
    for step in range(9):
        with scorer.collective():
            scorer.score(["5"], [Sample("a", "?", "5")], step=step)
except RftError as error:
    print(step, error)
"""


@pytest.mark.slow
def test_two_processes_of_one_run_stop_at_the_same_step():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    started = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", TWO],
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    first, second = (one.communicate(timeout=600)[0] for one in started)

    assert first.startswith("1 rank 1 of 2 stopped: reward 'extra' failed on sample a")
    assert second.startswith("1 reward 'extra' failed on sample a: ValueError: only here")
