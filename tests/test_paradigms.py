"""A paradigm decides which phases run; switches that contradict it are one clear error."""

import pytest

from rftcore import prompts
from rftcore.config import load_recipe
from rftcore.config.loading import dump_recipe
from rftcore.config.paradigms import PHASES
from rftcore.config.yaml12 import parse
from rftcore.errors import RecipeError, SampleError
from rftcore.pipeline.plan import Plan
from rftcore.runs import default_run_dir
from rftcore.types import Sample, Task


def load(*layers):
    return load_recipe(("recipe.yaml", {"task": "counting"}), *layers)


def phases(recipe):
    return {"sft": recipe.sft.enabled, "grpo": recipe.grpo.enabled}


@pytest.mark.parametrize("paradigm", PHASES)
def test_a_paradigm_sets_the_phases_and_is_read_back_from_its_recipe(paradigm):
    recipe = load(("--paradigm", {"paradigm": paradigm}))
    again = load_recipe(("recipe.yaml", parse(dump_recipe(recipe), "recipe")[1]))

    assert phases(recipe) == phases(again) == PHASES[paradigm]
    assert recipe.paradigm == again.paradigm == paradigm


@pytest.mark.parametrize(
    ("sft", "grpo", "paradigm"),
    [
        (True, True, "reason-rft"),
        (True, False, "cot-sft"),
        (False, True, "reason-rft-zero"),
        (False, False, "zero-shot"),
    ],
)
def test_without_a_paradigm_the_phases_decide_which_it_is(sft, grpo, paradigm):
    recipe = load(("--set", {"sft": {"enabled": sft}, "grpo": {"enabled": grpo}}))

    assert (recipe.paradigm, phases(recipe)) == (paradigm, {"sft": sft, "grpo": grpo})


ON = {"grpo": {"enabled": True}}


@pytest.mark.parametrize(
    "layers",
    [
        [("a.yaml", {"paradigm": "cot-sft", **ON})],
        [("a.yaml", {"paradigm": "cot-sft"}), ("--set grpo.enabled", ON)],
        [("--set grpo.enabled", ON), ("--set paradigm", {"paradigm": "cot-sft"})],
    ],
)
def test_a_switch_that_contradicts_the_paradigm_is_one_error_with_the_paradigm_that_fits(layers):
    with pytest.raises(RecipeError) as error:
        load(*layers)

    assert "grpo.enabled" in str(error.value)
    assert "choose paradigm=reason-rft" in str(error.value)
    assert len(error.value.faults) == 1


def test_a_paradigm_on_the_command_line_replaces_the_switches_of_a_file():
    recipe = load(("a.yaml", {"sft": {"enabled": False}}), ("--paradigm", {"paradigm": "cot-sft"}))

    assert phases(recipe) == {"sft": True, "grpo": False}


def test_a_contradiction_is_reported_with_the_other_faults():
    with pytest.raises(RecipeError) as error:
        load(("a.yaml", {"paradigm": "ans-sft", "sft": {"enabled": False}, "seed": -1}))

    assert "sft.enabled" in str(error.value)
    assert "seed" in str(error.value)


@pytest.mark.parametrize("wrong", ["cot", None, 3, ["cot-sft"]])
def test_an_unknown_paradigm_is_an_error_that_lists_them(wrong):
    with pytest.raises(RecipeError, match=r"paradigm.*reason-rft-zero"):
        load(("a.yaml", {"paradigm": wrong}))


def test_only_another_paradigm_than_the_default_is_in_the_name_of_a_run():
    named = default_run_dir("counting", "nano", 0, paradigm="ans-sft").name

    assert named.startswith("counting-ans-sft-nano-s0-")
    assert default_run_dir("counting", "nano", 0).name.startswith("counting-nano-s0-")


def test_the_target_of_answers_is_the_gold_and_must_not_have_tags():
    assert prompts.answer_target(Sample("a", "?", "5")) == "5"
    with pytest.raises(SampleError, match="gold contains think or answer tags"):
        prompts.answer_target(Sample("a", "?", "<answer>5</answer>"))


def taught(paradigm, **fields):
    reason = prompts.think_then_answer("A number.")
    task = Task("t", "none", reason, "integer", {}, **fields)
    recipe = load(("--paradigm", {"paradigm": paradigm}))
    return Plan(recipe, task, "m", None, ())


def test_ans_sft_teaches_the_bare_answer_after_the_direct_prompt_and_asks_with_it():
    plan = taught("ans-sft", direct_prompt=prompts.direct("One number."))
    sample = Sample("a", "How many?", "5")

    assert plan.taught.prompt(sample).text == "How many? One number."
    assert prompts.target_of(plan.taught)(sample) == "5"
    assert plan.asked == "direct"
    assert plan.task.prompt(sample).text.startswith("How many? Think")


def test_without_a_direct_prompt_ans_sft_shows_the_question_alone():
    assert taught("ans-sft").taught.prompt(Sample("a", "How many?", "5")).text == "How many?"


@pytest.mark.parametrize("paradigm", ["cot-sft", "reason-rft"])
def test_other_paradigms_teach_reasoning_after_the_prompt_of_the_task(paradigm):
    plan = taught(paradigm, direct_prompt=prompts.direct("One number."))

    assert (plan.taught, plan.asked) == (plan.task, "reason")
    with pytest.raises(SampleError, match="no reasoning"):
        prompts.target_of(plan.taught)(Sample("a", "?", "5"))
