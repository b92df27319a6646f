"""What cannot train fails before training, once and explained; what can is left as it was."""

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from peft import get_peft_model, get_peft_model_state_dict, load_peft_weights

from rftcore.config import load_recipe
from rftcore.datasets.slices import take
from rftcore.errors import ModelError
from rftcore.models.adapters import lora_config
from rftcore.models.loading import load_model
from rftcore.pipeline.first_steps import check_first_steps
from rftcore.training import real_step, rollout_check
from rftcore.training.rollout_check import Difference, require_equal

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient:FutureWarning")  # peft
LIVELY = Path(__file__).parent / "cases" / "lively_task.py"
RECIPE = load_recipe(("test", {"task": "t", "grpo": {"beta": 0.0}}))


@pytest.fixture(scope="module")
def task():
    spec = importlib.util.spec_from_file_location("lively_task", LIVELY)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.squares()


def job(policy, task, phase, recipe=RECIPE):
    """A run whose only phase to come is `phase`."""
    part = take(task, "sft" if phase == "sft" else "rl")
    plan = SimpleNamespace(
        recipe=recipe, task=task, taught=task, sft_task=task, part=lambda phase: part
    )
    unsharded = SimpleNamespace(fsdp=None, deepspeed=None)
    return SimpleNamespace(
        plan=plan,
        to_come=lambda name: name == phase,
        configs={phase: unsharded},
        newest_policy=lambda: policy.source,
        base=lambda: policy.source,
        run=SimpleNamespace(done=lambda phase: False),
        policies=SimpleNamespace(lend=lambda source, dtype: policy),
    )


def state(model):
    """Everything of a model that a trainer may change, and the next random number."""
    names = {name: sorted(vars(module)) for name, module in model.named_modules()}
    modes = [module.training for module in model.modules()]
    trained = [(p.requires_grad, p.grad is None) for p in model.parameters()]
    configs = (model.config.to_dict(), model.generation_config.to_dict())
    return names, modes, trained, configs, torch.random.get_rng_state().tolist()


@pytest.mark.parametrize("phase", ["sft", "grpo"])
@pytest.mark.parametrize("family", ["qwen2_vl", "llava"])
def test_a_step_before_training_leaves_the_model_and_random_numbers_as_they_were(
    family, phase, task, tiny
):
    policy = load_model(tiny(family), device="cpu")
    weights = {name: value.clone() for name, value in policy.model.state_dict().items()}
    before = state(policy.model)
    check_first_steps(job(policy, task, phase))

    assert state(policy.model) == before
    assert all(torch.equal(weights[n], value) for n, value in policy.model.state_dict().items())


def test_the_rows_of_the_step_are_the_largest_and_the_smallest(task):
    rows = [task.prompt(sample).images for sample in real_step.choose(take(task, "rl"), task)]

    assert [images[0].size() for images in rows] == [(84, 56), (28, 28)]


def lora(between):
    section = {"lora": {"rank": 2, "between": between}}
    return load_recipe(("test", {"task": "t", "grpo": {"beta": 0.04}, "policy": section}))


def adapter_of(model, recipe, folder):
    """An adapter that changes what the model computes, in a folder."""
    whole = get_peft_model(model, lora_config(model, recipe.policy.lora))
    with torch.no_grad():
        for name, weight in whole.named_parameters():
            weight += 0.01 if "lora_" in name else 0.0
    whole.save_pretrained(folder)
    return load_peft_weights(str(folder), device="cpu")


def test_the_step_of_grpo_has_the_adapter_that_grpo_continues(task, tiny, tmp_path, monkeypatch):
    recipe, started = lora("continue"), []
    saved = adapter_of(load_model(tiny("qwen2_vl"), device="cpu").model, recipe, tmp_path)
    policy = load_model(tiny("qwen2_vl"), device="cpu")
    make = real_step.grpo_trainer

    def spy(policy, *args, **kwargs):
        started.append({n: v.clone() for n, v in get_peft_model_state_dict(policy.model).items()})
        return make(policy, *args, **kwargs)

    monkeypatch.setattr(real_step, "grpo_trainer", spy)
    run = job(policy, task, "grpo", recipe)
    run.run.done = lambda phase: phase == "sft"
    run.policies.adapter = lambda phase: tmp_path
    before = state(policy.model)
    check_first_steps(run)

    assert state(policy.model) == before
    assert started[0].keys() == saved.keys()
    assert all(torch.equal(started[0][name], value) for name, value in saved.items())


@pytest.mark.parametrize("phase", ["sft", "grpo"])
@pytest.mark.parametrize("between", ["merge", "continue"])
def test_the_tokens_of_the_step_are_compared_with_an_adapter_too(
    phase, between, task, tiny, monkeypatch
):
    policy = load_model(tiny("qwen2_vl"), device="cpu")
    before = state(policy.model)
    check_first_steps(job(policy, task, phase, lora(between)))
    assert state(policy.model) == before

    monkeypatch.setattr(real_step, "_tokens", lambda inputs: [[len(inputs["input_ids"][0])]])
    with pytest.raises(ModelError, match=f"not the same tokens in {phase} and in evaluation"):
        check_first_steps(job(policy, task, phase, lora(between)))


def test_settings_with_which_the_step_is_not_tried_are_reported(task, monkeypatch, caplog):
    monkeypatch.setattr(real_step, "take_step", lambda *args, **kwargs: None)
    monkeypatch.setattr(real_step, "read_beside_another", lambda *args: None)
    run = job(SimpleNamespace(source="m"), task, "grpo")
    run.configs["grpo"].use_vllm = run.configs["grpo"].torch_compile = True
    with caplog.at_level("INFO", logger="rftcore"):
        check_first_steps(run)

    line = "the first step of grpo is tried without grpo.use_vllm and grpo.torch_compile"
    assert caplog.messages == [line]


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        (ModelError("it depends on its batch"), "it depends on its batch"),
        (ValueError("one size alone"), "cannot read two prompts of different length .*size alone"),
    ],
)
def test_a_prompt_that_is_read_otherwise_beside_another_is_an_error_after_the_step(
    raised, message, task, tiny, monkeypatch
):
    def check(policy, prompt):
        raise raised

    monkeypatch.setattr(real_step, "require_independent", check)
    with pytest.raises(ModelError, match=message):
        check_first_steps(job(load_model(tiny("qwen2_vl"), device="cpu"), task, "sft"))


def test_a_family_that_trl_cannot_train_is_one_error_with_phase_and_advice(task, tiny):
    policy = load_model(tiny("paligemma"), device="cpu")
    with pytest.raises(ModelError, match=r"family 'paligemma'\) cannot take a step of sft") as e:
        check_first_steps(job(policy, task, "sft"))

    assert "`images` are expected" in str(e.value)
    assert "--set sft.enabled=false" in str(e.value)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("name", ["shared_prefix", "sampling_mask"])
def test_a_setting_without_which_the_step_works_is_the_advice(name, task, tiny, monkeypatch):
    taken = real_step.take_step

    def fragile(phase, policy, task, recipe, samples, **adapter):
        if getattr(recipe.grpo, name) != "off":
            raise TypeError("an argument too many")
        taken(phase, policy, task, recipe, samples, **adapter)

    monkeypatch.setattr(real_step, "take_step", fragile)
    policy = load_model(tiny("qwen2_vl"), device="cpu")
    recipe = load_recipe(("test", {"task": "t", "grpo": {"beta": 0.0, "min_p": 0.1}}))
    with pytest.raises(ModelError, match=rf"too many. It can with `--set grpo.{name}=off`"):
        check_first_steps(job(policy, task, "grpo", recipe))


def test_a_second_start_token_in_scoring_is_found_before_training(task, tiny, monkeypatch):
    policy = load_model(tiny("gemma3"), device="cpu")
    check_first_steps(job(policy, task, "grpo"))
    monkeypatch.setattr("rftcore.training.grpo.rollout_template_kwargs", lambda processor: {})

    with pytest.raises(ModelError, match=r"Gemma3\w+ scores its first rollouts otherwise .*BOS"):
        check_first_steps(job(policy, task, "grpo"))


@pytest.mark.parametrize(
    ("dtype", "mean", "largest", "passes"),
    [
        (torch.float32, 1e-6, 9e-4, True),
        (torch.float32, 1e-6, 2e-3, False),
        (torch.bfloat16, 4e-2, 1.0, True),
        (torch.bfloat16, 6e-2, 6e-2, False),
        (torch.float32, float("nan"), float("nan"), True),
    ],
)
def test_rollouts_may_differ_from_their_scores_by_rounding_alone(dtype, mean, largest, passes):
    found = Difference(mean, largest, 64)
    if passes:
        require_equal(found, "Model", dtype)
    else:
        with pytest.raises(ModelError, match="Model scores its first rollouts otherwise"):
            require_equal(found, "Model", dtype)


@pytest.mark.parametrize("family", ["qwen2_vl", "gemma3", "smolvlm"])
def test_sampler_and_loss_agree_in_our_loop_and_in_the_plain_one(family, task, tiny, monkeypatch):
    found = []
    plain = rollout_check.require_equal
    monkeypatch.setattr(
        rollout_check, "require_equal", lambda *given: found.append(given[0]) or plain(*given)
    )
    check_first_steps(job(load_model(tiny(family), device="cpu"), task, "grpo"))

    assert found[0].largest < 1e-5
    assert real_step.TOKENS < found[0].tokens <= 4 * real_step.TOKENS
