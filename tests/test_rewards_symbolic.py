"""Algebra may never end; a reward always does, in any thread, and a timeout is not a score."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rftcore import parsers, rewards
from rftcore.errors import PluginError, RewardError, SampleError
from rftcore.rewards import maths, notation
from rftcore.rewards.algebra import worker
from rftcore.scoring import Scorer
from rftcore.types import RewardInput, Sample, Task, Term

ENDLESS = "9^{9^{9^{9}}}"
same = maths.same_expression
few = settings(max_examples=20)
small = st.integers(-99, 99)


def score(completion: str, timeout_s: float = 60.0):
    task = Task("t", "none", str, parsers.Text(), {"accuracy": Term(rewards.symbolic())})
    scorer = Scorer(task, timeout_s=timeout_s)
    return scorer.score([completion], [Sample("a", "?", "2")])[0].parts["accuracy"]


def in_thread(function, *arguments):
    results = []
    thread = threading.Thread(target=lambda: results.append(function(*arguments)))
    thread.start()
    thread.join()
    return results[0]


@few
@given(p=small, q=small.filter(bool), times=st.integers(1, 9))
def test_equal_fractions_are_equal_however_they_are_written(p, q, times):
    assert same(f"{p}/{q}", rf"\frac{{{p * times}}}{{{q * times}}}")


@few
@given(numbers=st.lists(small, min_size=2, max_size=5, unique=True), mark=st.sampled_from(",;"))
def test_listing_many_numbers_does_not_find_the_right_one(numbers, mark):
    text = mark.join(map(str, numbers))

    assert not any(same(str(number), text) for number in numbers)


@few
@given(gold=small.map(str), answer=st.none() | st.text(max_size=20))
def test_any_answer_earns_one_or_nothing_and_the_same_again(gold, answer):
    x = RewardInput(answer, gold)

    assert rewards.symbolic()(x) in (0, 1)
    assert rewards.symbolic()(x) == rewards.symbolic()(x)


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        (r"2\sqrt{2}", r"\sqrt{8}"),
        (r"14\pi", r"$14 \pi$"),
        ("0.5", r"\frac12"),
        ("5", r"\boxed{5}"),
        ("5", r"\[ 5 \]"),
        ("5", "5."),
        ("7", "x = 7"),
        ("30", "30°"),
        ("5", "5 cm"),
        ("1000", "1,000"),
        ("1e3", "1000"),
        ("x^2+2x+1", "(x+1)^2"),
        (r"\{1,2\}", r"\{2,1\}"),
        ("A", "(A)"),
    ],
)
def test_the_same_expression_has_many_spellings(gold, answer):
    assert same(gold, answer)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "4",
        "{",
        "five",
        "there are 5",
        "5 or 6",
        "4$ or $5",
        "4$ maybe $5",
        r"4 \[5\]",
        r"\boxed{4} \boxed{5}",
        "final answer is [5]",
        "4\n\\frac{5}{1}",
        "5 " * 500,
    ],
)
def test_a_text_that_merely_contains_the_gold_is_not_the_gold(answer):
    assert not same("5", answer)


@pytest.mark.parametrize("gold", ["", "{", "the answer is $5$"])
def test_a_gold_that_is_not_an_expression_is_bad_data(gold):
    with pytest.raises(SampleError, match=r"gold .* cannot be compared: "):
        same(gold, "5")


def test_what_never_ends_is_a_timeout_and_the_next_call_works():
    late = score(ENDLESS, timeout_s=0.3)

    assert (late.kind, late.value) == ("timeout", None)
    assert score(r"\frac{4}{2}").value == 1


def test_the_deadline_holds_outside_the_main_thread(monkeypatch):
    monkeypatch.setattr(maths, "DEADLINE_S", 0.3)

    start = time.monotonic()
    late = in_thread(score, ENDLESS)

    assert time.monotonic() - start < 50
    assert (late.kind, "exceeded its deadline" in late.note) == ("timeout", True)
    monkeypatch.undo()
    assert in_thread(same, "2", "4/2")


def test_no_deadline_runs_while_the_worker_starts(monkeypatch):
    left, read = [], maths._read

    def look_and_read(*arguments):
        left.append(signal.getitimer(signal.ITIMER_REAL)[0])
        return read(*arguments)

    monkeypatch.setattr(maths, "_read", look_and_read)
    maths._WORKERS.close()

    assert score("4/2").value == 1
    assert left[0] == 0 < left[1]


def test_a_worker_that_dies_is_an_error_and_the_next_one_works():
    same("1", "1")
    maths._WORKERS._idle.kill()

    with pytest.raises(RewardError, match="ended with exit code -9"):
        same("1", "2")
    assert same("1", "1")


def test_a_forked_process_has_a_worker_of_its_own():
    code = """
import os
import signal
from rftcore.rewards import maths, notation
from rftcore.rewards.algebra import worker
assert maths.same_expression("1", "2/2")
child = os.fork()
if not child:
    os._exit(0 if maths._WORKERS._idle is None and maths.same_expression("2", "4/2") else 1)
assert os.waitpid(child, 0)[1] == 0
assert maths.same_expression("3", "6/2")
"""
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)


def test_without_math_verify_the_error_gives_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with pytest.raises(PluginError, match=r"pip install 'rftcore\[math\]'"):
        rewards.symbolic()
    with pytest.raises(PluginError, match=r"pip install 'rftcore\[math\]'"):
        rewards.paper.reward("accuracy_reward")
    assert rewards.paper.reward("format_reward")


@pytest.mark.parametrize("gold", ["", "{", "the answer is $5$"])
def test_a_gold_that_no_answer_can_match_is_found_without_an_answer(gold):
    assert rewards.gold_fault(rewards.symbolic(), gold)
    assert rewards.gold_fault(rewards.symbolic(), "1/2") is None


READ = (r"2\sqrt{2}", r"\sqrt{8}", r"14\pi", "x^2+2x+1", "(x+1)^2", r"\{1,2\}", "(1, 2)", "x = 7")
MORE = ("1e3", "3/4", r"\frac{x}{2}", "[0, 1)", "A", r"1 \leq x < 3", "2x = 4", "10\\%", "x+")


@pytest.fixture(scope="module")
def algebra():
    """What the worker runs, in this process."""
    math_verify = pytest.importorskip("math_verify")
    return lambda request: worker._compared(math_verify.parse, math_verify.verify, request)


@pytest.mark.parametrize("gold", [*READ, *MORE])
def test_a_worker_replies_what_its_code_computes_in_this_process(gold, algebra):
    for answer in (*READ, *MORE):
        asked = [notation.read(text) for text in (gold, answer)]
        told = maths._WORKERS.request("same_expression", *asked, (gold, answer))
        given = {"kind": "same_expression", "gold": asked[0], "answer": asked[1]}

        assert algebra(given) == told
