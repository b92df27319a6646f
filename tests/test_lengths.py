"""What SFT teaches and the policy may never write to its end is told before a model loads."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rftcore import prompts
from rftcore.config import load_recipe
from rftcore.errors import DataError, ModelError, RecipeError
from rftcore.models.configs import Context
from rftcore.parsers import Integer
from rftcore.pipeline.job import Job
from rftcore.pipeline.loop import check_vision
from rftcore.pipeline.plan import Plan
from rftcore.pipeline.preflight import preflight
from rftcore.runs import RunFolder
from rftcore.training.lengths import Targets, exceeded
from rftcore.types import Prompt, Sample, Task, Term

sizes = st.lists(st.integers(1, 50), min_size=1, max_size=9)


def sample(words, split="sft"):
    return Sample(f"{split}-{words}", "?", "3", cot="word " * words, origin=f"row with {words}")


def found(words, *, sft=None, grpo=None, evaluation=512):
    """The limits that targets of so many words exceed, by setting; `TAGS` are to be added."""
    targets = Targets(lambda text: len(text.split()))
    for count in words:
        targets.see(sample(count), "sft", prompt=100)
        targets.see(sample(1000, "rl"), "rl", prompt=100)
    recipe = load_recipe(("test", {"task": "t", "evaluation": {"max_new_tokens": evaluation}}))
    configs = SimpleNamespace(max_length=sft), SimpleNamespace(max_completion_length=grpo)
    limits = exceeded(targets, recipe, *configs, evaluated=True)
    return {".".join(limit.setting): (limit, str(limit.fault(recipe))) for limit in limits}


TAGS = len(prompts.tags.write("", "3").split())


@given(words=sizes, off=st.integers(-1, 1))
def test_a_limit_is_reported_exactly_if_a_target_is_longer(words, off):
    most = words[0] + TAGS + off  # where it bends
    longer = [count for count in words if count + TAGS > most]
    limits = found(words, grpo=most)

    assert set(limits) == ({"grpo.max_completion_length"} if longer else set())
    for limit, _ in limits.values():
        assert limit.over == len(longer)
        assert limit.hopeless == (len(longer) == len(words))


@given(words=sizes)
def test_the_limit_that_is_advised_is_the_shortest_that_fits(words):
    needed = max(words) + TAGS
    message = found(words, evaluation=needed - 1)["evaluation.max_new_tokens"][1]

    assert f"--set evaluation.max_new_tokens={needed} fits" in message
    assert f"row with {max(words)}, takes {needed}" in message
    assert not found(words, evaluation=needed)


def test_what_sft_cuts_is_counted_with_the_prompt():
    needed = 100 + 7 + TAGS
    assert not found([7], sft=needed)
    assert "sft.max_length" in found([7], sft=needed - 1)


def test_a_phase_that_is_left_out_has_no_limit(job, logged):
    preflight(job("grpo.max_completion_length=5", "grpo.enabled=false"))

    assert "WARNING" not in logged.text


def test_a_number_of_samples_of_a_split_that_is_not_evaluated_is_a_warning(job, logged):
    preflight(job("evaluation.samples={val: 4, sft: 4}", "evaluation.splits=[val]"))

    [message] = logged.messages
    assert message.startswith("evaluation.samples.sft (--set evaluation.samples) has no effect")


STEPS = ("sft.batch_size=2", "grpo.prompts_per_step=2")  # ten rows are enough for a step


@pytest.fixture
def job(tmp_path):
    """A job of nano's on ten samples of two lengths, nothing of it begun."""
    rft_nano = pytest.importorskip("rft_nano")

    class Rows:
        splits = ("sft", "rl", "val")

        def size(self, split):
            return 10

        def sample(self, split, index):
            cot = "one and two " * (9 if index == 4 else 2)
            name = f"{split} row {index}"
            return Sample(name, f"Say {name}.", "3", cot=cot, origin=name)

    def make(*settings):
        prompt, rewards = (lambda s: Prompt(s.question)), {"accuracy": Term(lambda x: 0.0)}
        run = RunFolder.create(tmp_path / f"run-{len(settings)}", {})
        overrides = ["task=t", "grpo.max_completion_length=300", *STEPS, *settings]
        recipe = load_recipe(overrides=overrides)
        task = Task("t", Rows(), prompt, Integer(), rewards)
        return Job(Plan.of(recipe, task, rft_nano.WEIGHTS, None), run, progress=False)

    return make


def test_one_target_that_does_not_fit_is_a_warning(job, logged):
    made = job("evaluation.max_new_tokens=30")
    preflight(made)

    [message] = logged.messages
    assert message.startswith("evaluation.max_new_tokens = 30 (--set evaluation.max_new_tok")
    assert "too short for 1 of 10 targets" in message
    assert "sft row 4" in message
    assert "\n" not in message
    assert made.run.read_json("manifest.json")["sft_targets"]["longest_row"] == "sft row 4"


def test_limits_that_fit_are_not_reported(job, logged):
    preflight(job())

    assert "WARNING" not in logged.text


def test_boxes_that_no_preview_draws_are_a_warning_with_the_first_row(job, logged, monkeypatch):
    made = job()
    rows = type(made.plan.taught.dataset)
    plain = rows.sample
    monkeypatch.setattr(rows, "sample", lambda *at: replace(plain(*at), meta={"boxes": "abc"}))
    preflight(made)

    [message] = [one for one in logged.messages if "boxes" in one]
    assert message.startswith("boxes: sft row 0: 'boxes' is 'abc': write a list")
    assert message.endswith("(30 such samples, this is the first)")


def test_a_limit_that_nothing_fits_stops_the_run(job):
    with pytest.raises(RecipeError, match=r"too short for all targets.*sft row 4.*check_leng"):
        preflight(job("evaluation.max_new_tokens=5"))

    preflight(job("evaluation.max_new_tokens=5", "sft.check_lengths=false"))
    preflight(job("evaluation.max_new_tokens=5", "sft.enabled=false", "seed=1"))


def test_a_row_that_sft_cuts_is_reported(job, logged):
    made = job("sft.max_length=45", "grpo.enabled=false")
    preflight(made)

    assert "sft.max_length = 45" in logged.text


@pytest.mark.parametrize("checked", ["true", "false"])
def test_a_cut_that_reaches_into_a_prompt_stops_the_run_with_its_row(checked, job):
    with pytest.raises(RecipeError, match=r"max_length = 3 .*10 of 10 rows .*such as sft row 0"):
        preflight(job("sft.max_length=3", f"sft.check_lengths={checked}", "grpo.enabled=false"))


def test_a_model_without_a_processor_is_an_error_before_the_data(job, tmp_path):
    made = job()
    made.plan = replace(made.plan, model=tmp_path)
    with pytest.raises(ModelError, match=r"no config"):
        preflight(made)


def test_a_task_without_images_leaves_the_vision_check_out_with_one_line(job, logged, monkeypatch):
    monkeypatch.setattr(
        "rftcore.pipeline.policies.load_model", lambda *_: pytest.fail("a model loaded")
    )
    check_vision(job())

    assert logged.messages == ["no sample has an image: the vision check is left out"]


def test_prompts_longer_than_the_context_stop_the_run_with_their_row(job, monkeypatch):
    monkeypatch.setattr("rftcore.models.processor_check.read_context", lambda *_: Context(8, 8))

    with pytest.raises(DataError, match=r"10 of 10 prompts of split sft.*\n.*split rl.*\n.*val"):
        preflight(job())


def test_a_context_too_short_for_prompt_and_completion_is_a_warning(job, logged, monkeypatch):
    monkeypatch.setattr("rftcore.models.processor_check.read_context", lambda *_: Context(305, 305))
    preflight(job("evaluation.max_new_tokens=100"))

    [message] = logged.messages
    assert "prompts of split rl and grpo.max_completion_length = 300 are together longer" in message
