"""What a GPU run does, on a CPU: bfloat16 autocast, static caches, activation checkpointing."""

import functools
import importlib.util
import sys
from pathlib import Path

import pytest
import torch
import transformers
from packaging.version import Version

from rftcore.config import load_recipe
from rftcore.datasets.slices import take
from rftcore.models.completions import generate
from rftcore.models.encoding import encode
from rftcore.models.loading import load_model
from rftcore.models.policy import freeze
from rftcore.prompts import sft_target
from rftcore.testing.families import tiny_qwen2_vl
from rftcore.training import cpu
from rftcore.training.adapt import adapt
from rftcore.training.configs import sft_config
from rftcore.training.sft import sft_trainer

rft_nano = pytest.importorskip("rft_nano")
LIVELY = Path(__file__).parent / "cases" / "lively_task.py"


@pytest.fixture(scope="module")
def task():
    spec = importlib.util.spec_from_file_location("lively_task", LIVELY)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.squares()


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    from rft_nano.model import build_untrained

    root = tmp_path_factory.mktemp("models")
    return {
        "nano": rft_nano.nano(),
        "toy": build_untrained(root / "toy"),
        "qwen2_vl": tiny_qwen2_vl(root / "qwen2_vl"),
    }


FAMILIES = pytest.mark.parametrize("family", ["nano", "toy", "qwen2_vl"])


@pytest.fixture
def policy(folders, family):
    policy = load_model(folders[family], device="cpu")
    adapt(policy.model)
    return policy


@pytest.fixture
def prompts(task):
    return [task.prompt(sample) for sample in take(task, "val", 3)]


def generated(policy, prompts, cache, autocast):
    """Greedy tokens, with autocast inside `forward`, where accelerate puts it."""
    plain = type(policy.model).forward
    inputs = encode(policy, prompts)

    @functools.wraps(plain)  # `generate` reads its signature
    def forward(self, *args, **kwargs):
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            return plain(self, *args, **kwargs)

    with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(policy.model), "forward", forward)
        return policy.model.eval().generate(
            **inputs, do_sample=False, max_new_tokens=12, cache_implementation=cache
        )


@FAMILIES
@pytest.mark.parametrize("autocast", [True, False])
def test_a_static_cache_writes_what_a_growing_one_writes(policy, prompts, autocast):
    static, dynamic = (generated(policy, prompts, c, autocast) for c in ("static", "dynamic"))

    assert torch.equal(static, dynamic)


@FAMILIES
def test_rollouts_multiply_as_ever(policy, prompts, monkeypatch):
    """oneDNN's products would make each token of a rollout ten times as slow."""
    seen = []
    monkeypatch.setattr(cpu, "onednn_is_precise", lambda: True)
    policy.model.register_forward_pre_hook(lambda *_: seen.append(cpu.products_are_fast()))
    with cpu.fast_cpu():
        policy.model.generate(**encode(policy, prompts), do_sample=False, max_new_tokens=2)
        assert cpu.products_are_fast() == (not torch.cuda.is_available())

    assert seen == [False, False]


def gradients(policy, task, checkpointing, frozen):
    """Loss and gradients of one batch."""
    for parameter in policy.model.parameters():
        parameter.requires_grad_(True)
    freeze(policy, frozen)
    samples = list(take(task, "sft", 3))
    inputs = encode(
        policy, [task.prompt(sample) for sample in samples], [sft_target(s) for s in samples]
    )
    if checkpointing:
        policy.model.activation_checkpointing_enable({"use_reentrant": False})
    policy.model.train().zero_grad()
    loss = policy.model(**inputs, labels=inputs["input_ids"]).loss
    loss.backward()
    policy.model.activation_checkpointing_disable()
    named = policy.model.named_parameters()
    return loss.item(), {name: p.grad.clone() for name, p in named if p.grad is not None}


@FAMILIES
@pytest.mark.parametrize("freeze", [[], ["vision"]])
def test_activation_checkpointing_gives_the_same_loss_and_gradients(policy, task, freeze):
    loss, plain = gradients(policy, task, False, freeze)
    other, saved = gradients(policy, task, True, freeze)

    assert other == pytest.approx(loss, rel=1e-6)
    assert saved.keys() == plain.keys()
    for name, gradient in plain.items():
        torch.testing.assert_close(saved[name], gradient, rtol=1e-4, atol=1e-5, msg=name)


def moved(folder, task, dtype, tmp_path):
    """The share of weights that four SFT steps at the paper's GRPO rate change."""
    settings = {"learning_rate": 1e-6, "max_steps": 4, "bf16": True, "freeze": [], "batch_size": 4}
    steady = {"lr_scheduler_type": "constant", "use_cpu": True, "save_strategy": "no"}
    recipe = load_recipe(("test", {"task": "squares", "sft": {**settings, **steady}}))
    policy = load_model(folder, dtype=dtype, device="cpu")
    before = [p.detach().clone() for p in policy.model.parameters()]
    part, config = take(task, "sft"), sft_config(recipe, tmp_path)
    sft_trainer(policy, task, recipe, part, config, callbacks=[]).train()
    pairs = list(zip(before, policy.model.parameters(), strict=True))
    changed = sum((one != other).sum().item() for one, other in pairs)
    return changed / sum(one.numel() for one in before)


def test_small_steps_reach_float32_weights_and_are_lost_in_bfloat16(folders, task, tmp_path):
    default = load_recipe(("test", {"task": "squares"})).policy.dtype

    assert moved(folders["qwen2_vl"], task, default, tmp_path) > 0.75
    assert moved(folders["qwen2_vl"], task, "bfloat16", tmp_path) < 0.25


def test_the_repairs_are_still_needed(folders, task):
    """If this fails, transformers has repaired it: delete the repair in training/adapt.py."""
    policy = load_model(folders["toy"], device="cpu")

    if Version(transformers.__version__) < Version("5.24"):
        with pytest.raises(RuntimeError, match="index_copy_"):
            generated(policy, [task.prompt(s) for s in take(task, "val", 2)], "static", True)
    with pytest.raises(AttributeError, match="requires_grad_"):
        gradients(policy, task, True, [])


@pytest.mark.parametrize(
    "decoding",
    [
        {"repetition_penalty": 1.9},
        {"no_repeat_ngram_size": 1},
        {"num_beams": 3},
        {"suppress_tokens": list(range(40, 120))},
        {"do_sample": True, "temperature": 5.0, "top_k": 3},
    ],
)
@pytest.mark.parametrize("family", ["toy", "qwen2_vl"])
def test_decoding_settings_of_a_model_change_no_evaluation_and_no_rollout(
    family, decoding, folders, prompts, tmp_path
):
    from transformers import GenerationConfig

    def written(policy):
        adapt(policy.model)
        config = GenerationConfig(max_new_tokens=12, do_sample=False)
        rollouts = policy.model.generate(**encode(policy, prompts), generation_config=config)
        return generate(policy, prompts, 12), rollouts.tolist()

    plain, other = (load_model(folders[family], device="cpu") for _ in range(2))
    other.model.generation_config.update(**decoding)
    assert written(plain) == written(other)
    assert other.model.generation_config.to_dict().items() >= decoding.items()


def test_batch_normalization_keeps_the_statistics_that_were_saved(folders):
    model = load_model(folders["toy"], device="cpu").model
    model.norm = torch.nn.BatchNorm2d(2)
    adapt(model)
    model.train()
    image = torch.randn(1, 2, 4, 4)

    assert torch.equal(model.norm(image), model.norm(torch.cat([image, image + 9]))[:1])
    assert model.norm.running_mean.abs().sum() == 0
    assert model.training
