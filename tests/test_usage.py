"""What a run used is counted from what it logged, and parts of it add up."""

import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rftcore.config import load_recipe
from rftcore.pipeline import usage
from rftcore.runs import RunFolder
from rftcore.usage import Usage, peak_memory

counts = st.integers(0, 10**12)
used = st.builds(Usage, counts, counts, counts, counts, st.integers(0, 10**6), counts)


@given(used, used)
def test_parts_add_up_and_the_higher_peak_counts(one, other):
    both = one + other

    assert both.samples == one.samples + other.samples
    assert both.seconds == one.seconds + other.seconds
    assert both.peak_memory == max(one.peak_memory, other.peak_memory)
    assert Usage.from_json(both.to_json()) == both == other + one


def job(folder, lines, **manifest):
    run = RunFolder.create(folder, manifest)
    for line in lines:
        run.log(line)
    grpo = types.SimpleNamespace(
        num_iterations=2,
        steps_per_generation=1,
        gradient_accumulation_steps=1,
        generation_batch_size=8,
    )
    plan = types.SimpleNamespace(part=lambda phase: range(10))
    return types.SimpleNamespace(run=run, plan=plan, configs={"grpo": grpo})


def test_sft_read_what_trl_counted_and_trained_on_the_targets_of_its_rows(tmp_path):
    lines = [
        {"phase": "sft", "step": step, "num_tokens": 100.0 * step, "epoch": 0.5 * step}
        for step in (1, 2, 3)
    ]
    made = job(tmp_path / "run", lines, sft_targets={"mean": 4.5})
    with made.run:
        found = usage.of_phase(made, "sft", 7.0)

    assert (found.samples, found.tokens_read, found.tokens_trained) == (15, 300, 68)
    assert (found.tokens_generated, found.seconds) == (0, 7.0)
    assert found.peak_memory <= peak_memory()


def test_grpo_generated_for_each_batch_of_rollouts_and_trained_twice_on_each(tmp_path):
    lines = [
        {"phase": "grpo", "step": step, "num_tokens": 1000.0 * step, "completions/mean_length": 6.0}
        for step in (1, 2, 3, 4)
    ]
    made = job(tmp_path / "run", lines)
    with made.run:
        found = usage.of_phase(made, "grpo", 7.0)

    assert (found.samples, found.tokens_generated) == (16, 96)  # two batches of 8
    assert (found.tokens_read, found.tokens_trained) == (4000 - 96, 192)


def test_evaluations_are_summed_over_splits_and_the_same_part_is_counted_once(tmp_path):
    with RunFolder.create(tmp_path / "run", {}) as run:
        for part, samples in (("sft-val", 9), ("sft-val", 2), ("sft-test", 3)):
            run.add_usage("evaluate:sft", part, Usage(samples=samples).to_json())
        found = usage.of_run(types.SimpleNamespace(run=run))

    assert found == {"evaluate:sft": Usage(samples=5)}
    assert usage.line(found).startswith("used: evaluate:sft 5 samples, 0 tokens read, ")


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0"), (999, "999"), (1234, "1.23k"), (5 * 10**7, "50M")]
)
def test_large_counts_are_short(number, text):
    assert f"{text} tokens read" in usage.line({"sft": Usage(tokens_read=number)})


def test_a_recipe_draws_completions_only_if_asked():
    from rftcore.pipeline.plan import Plan

    plan = Plan(load_recipe(("a", {"task": "t"})), None, "m", None, ())
    asked = load_recipe(("a", {"task": "t", "seed": 3, "evaluation": {"sampled": 4}}))

    assert plan.drawn is None
    assert (Plan(asked, None, "m", None, ()).drawn.completions, plan.last_stage) == (4, "grpo")
