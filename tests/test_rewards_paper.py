"""The paper's rewards as they were: every known case, and laws of how they are put to use."""

import importlib
import json
import math
import os
import pickle
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rftcore import rewards
from rftcore.config import load_recipe
from rftcore.errors import PluginError, RecipeError, SampleError
from rftcore.parsers import Integer
from rftcore.rewards import paper
from rftcore.rewards.paper import calls, forms, texts
from rftcore.scoring import Scorer
from rftcore.types import RewardInput, Sample, Task, Term

ROOT = Path(__file__).parent.parent
with (ROOT / "tests" / "cases" / "paper_rewards.jsonl").open(encoding="utf-8") as file:
    CASES = [json.loads(line) for line in file]


def tagged(answer: str) -> str:
    return f"<think>x</think><answer>{answer}</answer>"


def score(function: str, completion: str, gold: str = "5"):
    terms = {"accuracy": Term(paper.reward(function))}
    scorer = Scorer(Task("t", "none", str, Integer(), terms), timeout_s=60)
    return scorer.score([completion], [Sample("a", "?", gold)])[0]


@pytest.mark.parametrize(
    "case", CASES, ids=[f"{at}-{case['function']}" for at, case in enumerate(CASES)]
)
def test_each_function_gives_what_the_released_code_gives(case):
    function, expected = paper.FUNCTIONS[case["function"]], case["expected"]
    arguments = case["completion"], case["solution"]
    if str(expected).startswith("raises:"):
        with pytest.raises(SampleError):
            function(*arguments, **case.get("kwargs", {}))
        return
    allowed = case.get("expected_any") or [math.nan if expected == "NaN" else expected]
    result = function(*arguments, **case.get("kwargs", {}))

    assert any(result == pytest.approx(one, abs=1e-12, nan_ok=True) for one in allowed)


def test_all_cases_of_all_functions_are_here():
    assert len(CASES) == 347
    assert {case["function"] for case in CASES} == paper.FUNCTIONS.keys()


@pytest.mark.parametrize("name", [name for name in paper.FUNCTIONS if name != "len_reward"])
@pytest.mark.parametrize("value", [None, 5, ["5"]])
def test_what_is_no_text_is_bad_data_and_no_score(name, value):
    with pytest.raises(SampleError, match="need text"):
        paper.FUNCTIONS[name](value, "5")


CALLS = ["func_accuracy_reward", "only_full_func_accuracy_reward", "penalty_func_accuracy_reward"]


@pytest.mark.parametrize("name", [*CALLS, "get_score_trance"])
@pytest.mark.parametrize("gold", [None, 5, ["f(0, a)"]])
def test_a_gold_that_is_no_text_scores_zero_where_the_released_code_swallows_its_error(name, gold):
    for completion in (tagged("f(0, a)"), "f(0, a), f(0, a)", ""):
        assert paper.FUNCTIONS[name](completion, gold) == 0.0
    for other in ("accuracy_reward", "math_accuracy_reward"):
        with pytest.raises(SampleError, match="need text"):
            paper.FUNCTIONS[other](tagged("5"), gold)


@pytest.mark.parametrize("step", [None, "1000"])
def test_the_length_reward_needs_a_step(step):
    with pytest.raises(SampleError, match="current_step"):
        forms.len_reward(["5"], ["5"], current_step=step)


def test_the_length_reward_is_silent_before_step_800():
    group = ["5", tagged("5")], ["5", "5"]

    assert forms.len_reward(*group, current_step=799) == [0, 0]
    assert forms.len_reward(*group, current_step=800) == [0.025, -0.025]


PIECES = ("<think>", "</think>", "<answer>", "</answer>", " ", "\n", "x")
scraps = st.lists(st.sampled_from(PIECES), max_size=4).map("".join)
outside = st.sampled_from(["", " ", "\n\t", "x"])
blocks = st.tuples(scraps, outside, scraps, outside).map(
    lambda inside: "<think>{}</think>{}<answer>{}</answer>{}".format(*inside)
)


@given(blocks | scraps)
def test_blocks_are_those_that_a_lazy_pattern_accepts(text):
    lazy = r"<think>.*?</think>\s*<answer>.*?</answer>"

    assert forms.format_reward(text) == bool(re.fullmatch(lazy, text, re.DOTALL))


@given(blocks | scraps)
def test_the_answer_is_the_one_that_a_lazy_pattern_finds(text):
    found = re.search("<answer>(.*?)</answer>", text, re.DOTALL)

    assert texts.block_of(text) == (found[1].strip() if found else None)


@given(st.lists(st.sampled_from(["f", "0", "_", "(", ",", " ", "'", ")", "-", "g(1, x)"])))
def test_calls_are_those_that_a_plain_pattern_finds(pieces):
    text = "".join(pieces)

    assert calls.calls_in(text) == re.findall(r"(\w+)\((\w+),\s*'?(\w+)'?\)", text)


@pytest.mark.parametrize("name", ["format_reward", "caption_format_reward", "func_accuracy_reward"])
@pytest.mark.parametrize("piece", ["</think><answer>", "</summary>", "a", " "])
def test_a_long_completion_takes_no_longer_than_it_should(name, piece):
    start = time.process_time()
    paper.FUNCTIONS[name](f"<summary><think>{piece * 20_000}", "f(0, x)")

    assert time.process_time() - start < 1


def test_the_hash_seed_of_python_changes_nothing():
    case = next(case for case in CASES if case.get("nondeterministic"))
    code = f"""
from rftcore.rewards.paper import FUNCTIONS
print(FUNCTIONS[{case["function"]!r}]({case["completion"]!r}, {case["solution"]!r}))
"""
    seeds = [{**os.environ, "PYTHONHASHSEED": str(seed)} for seed in range(6)]

    assert len({subprocess.check_output([sys.executable, "-c", code], env=e) for e in seeds}) == 1


@pytest.mark.parametrize("name", paper.FUNCTIONS)
def test_every_function_is_a_reward_that_travels_between_processes(name):
    reward = rewards.OFFERED["paper"](name)
    sample = Sample("a", "?", "5")
    x = RewardInput(5, 5, tagged("5"), sample, step=900, siblings=(tagged("5") + " ",))

    assert pickle.loads(pickle.dumps(reward))(x) == reward(x)
    assert {"completion", "sample"} <= rewards.uses(reward)


def test_the_length_reward_compares_siblings_and_does_not_apply_in_evaluation():
    reward, sample = paper.reward("len_reward"), Sample("a", "?", "5")
    group = {"sample": sample, "siblings": (tagged("5"),)}

    assert reward(RewardInput(5, 5, "5", step=900, **group)) == 0.025
    assert reward(RewardInput(5, 5, "5", **group)) is None


def test_nan_from_the_papers_reward_is_a_failure_with_a_name():
    result = score("math_accuracy_reward", tagged("nan"))

    assert (result.total, result.parts["accuracy"].kind) == (None, "error")
    assert "not finite" in result.parts["accuracy"].note


def test_untagged_text_is_graded_by_algebra_and_tagged_text_is_not():
    assert score("accuracy_reward", "It is 10/2").total == 1
    assert score("accuracy_reward", tagged("10/2")).total == 0
    assert score("get_score_clevr", tagged("10/2")).total == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("acuracy_reward",), "Did you mean 'accuracy_reward'"),
        (("accuracy_reward", True), "no enhance=True"),
    ],
)
def test_a_reward_the_paper_does_not_have_is_an_error(arguments, message):
    with pytest.raises(PluginError, match=message):
        paper.reward(*arguments)


REPAIRED = {"accuracy": Term(rewards.exact)}
PAPERS = {"accuracy": "accuracy_reward", "score": "get_score_clevr"}


def test_a_task_takes_the_papers_rewards_and_measures_its_score_beside_them():
    chosen = paper.terms("paper", REPAIRED, PAPERS)

    assert paper.terms("repaired", REPAIRED, PAPERS) is REPAIRED
    assert {n: (t.weight, t.required) for n, t in chosen.items()} == {
        "accuracy": (1.0, True),
        "score": (0.0, False),
    }


def test_another_compat_is_an_error_with_a_suggestion():
    with pytest.raises(RecipeError, match="Did you mean 'paper'"):
        paper.terms("papers", REPAIRED, PAPERS)


def recipe(*settings):
    return load_recipe(("t", {"task": "numbers"}), overrides=settings)


def test_a_recipe_names_one_of_the_papers_rewards(fakes):
    catalogue = fakes.load({"good": fakes.tasks(numbers=fakes.numbers)})
    options = "rewards.paper.use=paper", "rewards.paper.options.function=format_reward"
    task = catalogue.task_of(recipe(*options))

    assert task.rewards["paper"].reward(RewardInput(5, 5, tagged("5"))) == 1
    with pytest.raises(RecipeError, match=r"rewards\.paper\.options\.function: not set"):
        catalogue.task_of(recipe(options[0]))


# --- docs/papers.md ---

PAGE = (ROOT / "docs" / "papers.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`(rftcore(?:\.\w+)+)`", PAGE))))
def test_code_that_the_page_of_papers_names_is_there(path):
    parts = path.split(".")
    for at in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:at]))
        except ModuleNotFoundError:
            continue
        for name in parts[at:]:
            found = getattr(found, name)
        return
    raise AssertionError(path)


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(test_\w+)`", PAGE))))
def test_a_test_that_the_page_of_papers_names_is_there(name):
    files = [*ROOT.glob("tests/*.py"), *ROOT.glob("plugins/*/tests/*.py")]

    assert any(f"def {name}(" in file.read_text(encoding="utf-8") for file in files)


def test_the_page_of_papers_names_every_function_and_every_defect():
    rows = re.findall(r"^\| (\d+) \|", PAGE, re.M)

    assert [name for name in paper.FUNCTIONS if f"`{name}`" not in PAGE] == []
    assert rows == [str(number) for number in range(1, 26)]
