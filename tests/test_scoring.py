"""A wrong answer is a score; everything that breaks has a name and never a number."""

import math
import re
import signal
import time
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rftcore import parsers, rewards
from rftcore.errors import PluginError, RewardError, SampleError
from rftcore.scoring import Outcome, Score, Scorer
from rftcore.signals import Terminated
from rftcore.types import Parsed, RewardResult, Sample, Task, Term

SAMPLE = Sample("a", "How many?", "5", origin="rows.jsonl row 3")
RIGHT = "<think>x</think><answer>5</answer>"


def task(parser=None, measure="accuracy", **terms) -> Task:
    terms = {name: one if isinstance(one, Term) else Term(one) for name, one in terms.items()}
    terms.setdefault("accuracy", Term(rewards.exact))
    return Task("t", "none", str, parser or parsers.Integer(), terms, accuracy=measure)


def score(completion=RIGHT, *, sample=SAMPLE, timeout_s=2.0, **terms) -> Score:
    return Scorer(task(**terms), timeout_s=timeout_s).score([completion], [sample])[0]


def raises(x):
    raise KeyError("gone")


def leaves(x):
    raise SystemExit(3)


class Panic(BaseException):
    """As a library written in Rust raises it."""


def panics(x):
    raise Panic("index out of bounds")


def hangs(x):
    while True:
        pass


def hangs_and_swallows(x):
    try:
        hangs(x)
    except:  # noqa: E722 -- what a careless reward does
        return 1.0


def runs_away(x):
    import re

    return float(re.fullmatch("(a|aa)+b", "a" * 60) is not None)


@pytest.mark.parametrize("truth", [True, False])
@pytest.mark.parametrize("kind", [bool, np.bool_, np.array, torch.tensor])
def test_true_and_false_of_any_library_are_rewards_of_1_and_0(kind, truth):
    assert score(extra=lambda x: kind(truth)).parts["extra"].value == float(truth)


@pytest.mark.parametrize("value", [[True], np.array([True]), torch.tensor([1.0]), "1", 1j])
def test_what_is_no_number_is_no_reward(value):
    assert "not a number: use float()" in score(extra=lambda x: value).parts["extra"].note


@pytest.mark.parametrize("stop", [Terminated, KeyboardInterrupt])
def test_a_stop_in_the_middle_of_a_reward_is_no_failure_of_it(stop):
    def stopped(x):
        raise stop

    with pytest.raises(stop):
        score(extra=stopped)


@pytest.mark.parametrize(("completion", "right"), [(RIGHT, True), ("6", False), ("x", False)])
def test_an_answer_is_right_or_wrong_and_never_a_failure(completion: str, right: bool):
    result = score(completion)

    assert (result.total, result.correct) == (float(right), right)


@pytest.mark.parametrize(
    ("function", "kind", "note"),
    [
        (raises, "error", "KeyError: 'gone'"),
        (leaves, "error", "SystemExit: 3"),
        (panics, "error", "Panic: index out of bounds"),
        (lambda x: math.nan, "error", "not finite"),
        (lambda x: -math.inf, "error", "not finite"),
        (lambda x: "1.0", "error", "not a number"),
        (lambda x: [1.0], "error", "not a number"),
        (lambda x: RewardResult(None), "error", "not a number"),
        (lambda: 1.0, "error", "TypeError"),
        (hangs, "timeout", "0.3 s"),
        (hangs_and_swallows, "timeout", "0.3 s"),
        (runs_away, "timeout", "0.3 s"),
    ],
)
def test_a_failure_has_a_name_and_leaves_no_total(function, kind: str, note: str):
    result = score(extra=function, timeout_s=0.3)

    assert (result.parts["extra"].kind, result.parts["extra"].value) == (kind, None)
    assert note in result.parts["extra"].note
    assert result.total is None


def test_an_optional_part_may_fail_and_the_rest_still_counts():
    result = score(extra=Term(raises, required=False))

    assert (result.total, result.parts["extra"].kind) == (1.0, "error")


def test_a_part_that_does_not_apply_is_left_out():
    result = score(extra=lambda x: None)

    assert (result.total, result.parts["extra"]) == (1.0, Outcome("n/a"))


def test_without_any_part_that_applies_there_is_no_total():
    assert score(accuracy=lambda x: None).total is None


@given(weights=st.lists(st.floats(-10, 10), min_size=2, max_size=2), correct=st.booleans())
def test_the_total_is_the_weighted_sum(weights: list[float], correct: bool):
    terms = {"accuracy": Term(rewards.exact, weights[0]), "format": Term(rewards.tags, weights[1])}
    answer = 5 if correct else 6

    total = score(f"<think>x</think><answer>{answer}</answer>", **terms).total

    assert total == pytest.approx(weights[0] * correct + weights[1])


@pytest.mark.parametrize("value", [1, True, 0.25, RewardResult(0.25, "a quarter")])
def test_a_number_is_a_number_whatever_its_type(value):
    part = score(extra=lambda x: value).parts["extra"]

    assert part.value == float(getattr(value, "value", value))
    assert part.note == getattr(value, "note", "")


@pytest.mark.parametrize("broken", [raises, hangs, lambda x: math.nan])
def test_past_the_budget_the_run_stops_and_names_reward_and_sample(broken):
    scorer = Scorer(task(extra=broken), timeout_s=0.1, error_budget=2)
    scorer.score(["5", "6"], [SAMPLE, SAMPLE])

    with pytest.raises(RewardError, match=r"'extra' failed on rows.jsonl row 3: .*failure 3 "):
        scorer.score(["5"], [SAMPLE])


def test_the_error_past_the_budget_names_line_and_file_of_tracebacks():
    scorer = Scorer(task(extra=raises), error_budget=0, kept_in="run/failures.jsonl")

    with pytest.raises(RewardError, match=r"test_scoring.py line \d+\)\..*s: run/failures.jsonl$"):
        scorer.score(["5"], [SAMPLE])


class Callable:
    def __call__(self, x):
        return math.nan


@pytest.mark.parametrize(
    "broken",
    [
        raises,
        hangs,
        rewards.reward()(lambda x: "1.0"),
        partial(lambda x, y: math.inf, y=1),
        Callable(),
    ],
    ids=["raises", "hangs", "text", "infinite", "object"],
)
def test_every_failure_names_file_and_line_of_the_rewards_code(broken):
    note = score(extra=broken, timeout_s=0.1).parts["extra"].note

    assert re.search(r"test_scoring\.py line \d+\)$", note), note


@pytest.mark.parametrize("name", ["<string>", "<ipython-input-3>", "made up", "/no/such/file.py"])
def test_code_that_is_in_no_file_is_named_as_well(name):
    made = {}
    exec(compile("def inner(): raise ValueError('no')\ndef fails(x): inner()", name, "exec"), made)
    note = score(extra=made["fails"]).parts["extra"].note

    assert note == f"ValueError: no ({name} line 1)"


def test_failures_that_are_not_kept_are_counted():
    kept = []
    with (
        Scorer(task(extra=raises), error_budget=999, record=kept.append) as scorer,
        scorer.collective(),
    ):
        scorer.score(["5"] * 130, [SAMPLE] * 130)

    assert (len(kept), sum(1 + one.more for one in kept)) == (100, 130)


def test_the_first_failure_of_each_cause_is_kept():
    def fails(x):
        raise (KeyError if x.answer == 5 else ValueError)(x.answer)

    kept = []
    scorer = Scorer(task(extra=fails), error_budget=999, record=kept.append)
    with scorer.collective():
        scorer.score([*["5"] * 130, "6", "7"], [SAMPLE] * 132)

    assert [one.note.partition(" (")[0] for one in kept[99:]] == ["KeyError: 5", "ValueError: 6"]
    assert sum(1 + one.more for one in kept) == 132


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0, None, "raises", "hangs"])
def test_an_answer_is_right_wrong_or_not_known(value):
    def accuracy(x):
        return {"raises": raises, "hangs": hangs}.get(value, lambda x: value)(x)

    known = {0.0: False, 0.5: False, 1.0: True}

    assert score(accuracy=accuracy, timeout_s=0.1).correct is known.get(value)


@pytest.mark.parametrize(
    ("parser", "text"),
    [
        (parsers.Integer(), "1,000.0"),
        (parsers.Number(), "1e3"),
        (parsers.Choice(), "(b)"),
        (parsers.Text(), "a  b"),
        (parsers.Calls({"grow": ["big", "very big"]}), "Grow(1, 'very-big'); grow(2, big)"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_answer_that_is_shown_reads_back_as_the_same_value(parser, text):
    found = score(text, sample=replace(SAMPLE, gold=text), parser=parser)

    assert parser.gold(found.answer).value == found.parsed.value


def test_an_answer_is_shown_as_the_parser_writes_it():
    calls = parsers.Calls({"grow": ["big"]})
    sample = replace(SAMPLE, gold="grow(1, big)")

    assert score("Grow(1, 'big') grow(2, big)", sample=sample, parser=calls).answer == (
        "grow(1, big), grow(2, big)"
    )
    assert score("what?").answer is None


@pytest.mark.parametrize(("value", "warned"), [(2.0, 1), (100, 1), (1.0, 0), (0.5, 0), (-1, 0)])
def test_an_accuracy_above_one_is_warned_of_once(value, warned, logged):
    scorer = Scorer(task(accuracy=lambda x: value))
    scorer.score([RIGHT, RIGHT], [SAMPLE, SAMPLE])

    assert logged.text.count("exactly 1, so this one counts as wrong") == warned


@pytest.mark.parametrize("show", [lambda *_: 1 / 0, lambda *_: 5])
def test_an_answer_that_cannot_be_shown_costs_a_warning_and_no_run(show, logged):
    class Shy(parsers.Integer):
        pass

    Shy.show = show
    with Scorer(task(parser=Shy())) as scorer:
        scores = scorer.score(["5", "6"], [SAMPLE, SAMPLE])

    assert [one.answer for one in scores] == ["5", "6"]
    assert logged.text.count("parser Shy.show r") == 1


def test_each_completion_is_parsed_once():
    calls: list[str] = []

    class Counting(parsers.Integer):
        def parse(self, completion: str) -> Parsed:
            calls.append(completion)
            return super().parse(completion)

    many = {f"extra{number}": rewards.exact for number in range(5)}
    Scorer(task(parser=Counting(), **many)).score(["5", "6"], [SAMPLE, SAMPLE])

    assert calls == ["5", "6"]


def test_a_gold_that_cannot_be_read_names_its_row():
    with pytest.raises(SampleError, match=r"rows.jsonl row 3: .*'five'"):
        score(sample=Sample("a", "How many?", "five", origin="rows.jsonl row 3"))


def test_a_reward_that_finds_bad_data_stops_the_run_and_names_the_row():
    def complains(x):
        raise SampleError("no unit")

    with pytest.raises(SampleError, match=r"rows.jsonl row 3: reward 'extra': no unit"):
        score(extra=complains)


@pytest.mark.parametrize("method", ["parse", "gold"])
def test_a_parser_that_raises_is_a_broken_plugin(method: str):
    class Broken(parsers.Integer):
        pass

    setattr(Broken, method, raises_anything)
    with pytest.raises(PluginError, match=rf"Broken.{method} raised ZeroDivisionError"):
        score(parser=Broken())


def raises_anything(*_):
    raise ZeroDivisionError


def test_a_reward_sees_only_what_it_declares():
    seen = []

    @rewards.reward(uses=("completion", "siblings"))
    def looks(x):
        seen.append((x.completion, x.siblings, x.sample, x.step))
        return 0.0

    samples = [SAMPLE] * 3
    Scorer(task(extra=looks)).score(["5", "6", "7"], samples, step=4, groups=[0, 1, 0])

    assert seen == [("5", ("7",), None, None), ("6", (), None, None), ("7", ("5",), None, None)]


def test_a_reward_may_know_its_length_and_whether_the_answer_is_right():
    seen = []

    @rewards.reward(uses=("tokens", "sibling_tokens", "correct"))
    def looks(x):
        seen.append((x.tokens, x.sibling_tokens, x.correct))
        return 0.0

    made = task(extra=looks)
    made = replace(made, rewards=dict(reversed(made.rewards.items())))  # accuracy stands last
    scorer, samples = Scorer(made), [SAMPLE] * 3
    scorer.score(["5", "6", "7"], samples, groups=[0, 1, 0], tokens=[3, 4, 9])
    scorer.score(["5"], [SAMPLE])

    right = SAMPLE.gold == "5"
    assert seen == [(3, (9,), right), (4, (), False), (9, (3,), False), (None, None, right)]


def test_correct_is_unknown_if_accuracy_fails():
    seen = []

    @rewards.reward(uses=("correct",))
    def looks(x):
        seen.append(x.correct)
        return 0.0

    made = task(extra=looks)
    broken = {name: replace(term, reward=raises_anything) for name, term in made.rewards.items()}
    Scorer(replace(made, rewards={**broken, "extra": made.rewards["extra"]})).score(["5"], [SAMPLE])

    assert seen == [None]


@pytest.mark.parametrize(
    "broken",
    [
        task(measure="acuracy"),
        task(parser="integer"),
        task(extra="exact"),
        task(extra=Term(rewards.exact, math.nan)),
    ],
)
def test_a_task_that_cannot_be_scored_is_an_error_at_once(broken: Task):
    with pytest.raises(PluginError):
        Scorer(broken)


def test_an_alarm_that_was_set_before_still_rings():
    rang = []
    before = signal.signal(signal.SIGALRM, lambda *_: rang.append(True))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        score(extra=hangs, timeout_s=0.02)
        time.sleep(0.2)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    assert rang == [True]
