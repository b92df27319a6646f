"""The cosine between gradients of steps: the right number, and no trace in training."""

import io
import math
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
import transformers
from PIL import Image as pil
from torch import nn
from transformers import TrainerCallback

from rftcore.config import load_recipe
from rftcore.datasets.slices import take
from rftcore.images import Image
from rftcore.models.loading import load_model
from rftcore.parsers import Integer
from rftcore.scoring import Score
from rftcore.testing.families import tiny_qwen2_vl
from rftcore.training import agreement, grpo
from rftcore.training.agreement import GradientAgreement, Sample
from rftcore.training.callbacks import Progress, quiet, quiet_libraries
from rftcore.training.configs import grpo_config
from rftcore.types import Parsed, Prompt, Task
from rftcore.types import Sample as Row

ARGS = SimpleNamespace()


def state(step):
    return SimpleNamespace(global_step=step)


def model_with(gradients):
    """A model of two parameters whose gradient is a row of `gradients` after each call."""
    made = nn.ModuleList([nn.Linear(3, 1, bias=False), nn.Linear(2, 1, bias=False)])

    def take_step(row):
        made[0].weight.grad, made[1].weight.grad = row[None, :3].clone(), row[None, 3:].clone()

    return made, [lambda row=row: take_step(row) for row in gradients]


def logged(gradients, watch=None, first=0):
    """The lines of steps with these gradients."""
    made, steps = model_with(gradients)
    watch = watch or GradientAgreement()
    watch.on_train_begin(ARGS, state(first), None)
    lines = []
    for at, take_step in enumerate(steps, first):
        take_step()
        watch.on_pre_optimizer_step(ARGS, state(at), None, model=made)
        lines.append({"loss": 0.0})
        watch.on_log(ARGS, state(at + 1), None, logs=lines[-1])
    return lines


def test_each_step_logs_the_mean_cosine_with_all_earlier_ones():
    gradients = torch.randn(5, 5, generator=torch.Generator().manual_seed(1))
    unit = nn.functional.normalize(gradients)
    lines = logged(gradients)

    assert "gradient/agreement" not in lines[0]
    for at, line in enumerate(lines[1:], 1):
        assert line["gradient/agreement"] == pytest.approx(float((unit[:at] @ unit[at]).mean()))
        assert line["gradient/pairs"] == at


def test_a_step_without_a_gradient_is_left_out():
    one = torch.ones(5)
    lines = logged(torch.stack([one, 0 * one, math.nan * one, 2 * one]))

    assert [line.get("gradient/pairs") for line in lines] == [None, None, None, 1]
    assert lines[-1]["gradient/agreement"] == pytest.approx(1.0)


def test_only_the_first_steps_with_rollouts_of_their_own_are_measured(monkeypatch):
    monkeypatch.setattr(agreement, "STEPS", 3)
    rows = torch.ones(12, 5)

    assert [len(line) for line in logged(rows)[:5]] == [1, 3, 3, 1, 1]
    again = [len(line) for line in logged(rows, GradientAgreement(reuse=2))]
    assert again == [1, 1, 3, 1, 3, 1, 1, 1, 1, 1, 1, 1]
    assert all(len(line) == 1 for line in logged(rows, first=2))


def test_of_a_large_model_a_sample_of_its_weights_gives_nearly_the_same_cosine():
    draw = torch.Generator().manual_seed(0)
    weight = nn.Parameter(torch.zeros(400, 500))
    common, found = torch.randn(400, 500, generator=draw), []
    for most in (10**6, 50_000):
        sample, read = Sample([weight], most), []
        for seed in (1, 2):
            noise = torch.randn(400, 500, generator=torch.Generator().manual_seed(seed))
            weight.grad = common + noise
            read.append(sample.gradient())
        assert len(read[0]) == min(most, weight.numel())
        found.append(float(torch.cosine_similarity(*read, dim=0)))

    assert found[0] == pytest.approx(0.5, abs=0.01)
    assert found[1] == pytest.approx(found[0], abs=0.01)


class Dots:
    """Rows with an image each."""

    splits = ("rl",)

    def size(self, split):
        return 8

    def sample(self, split, index):
        file = io.BytesIO()
        pil.new("RGB", (56, 56), (index * 30, 90, 60)).save(file, "PNG")
        image = Image(f"dots-{index}", file.getvalue)
        return Row(f"r{index}", "How many?", str(index % 3), (image,))


class ByLength:
    """A scorer whom any policy can please a little: it counts letters."""

    collective = staticmethod(nullcontext)

    def score(self, completions, samples, **_):
        totals = [len(text) % 7 / 7 for text in completions]
        return [Score(total, {}, Parsed(1), correct=False) for total in totals]


def trained(source, folder, micro_batch):
    """Four steps of GRPO: logged lines, rollouts, weights and the state of torch's generator."""
    transformers.set_seed(0)
    shape = {"prompts_per_step": 2, "group_size": 4, "max_steps": 4, "max_completion_length": 8}
    options = {"learning_rate": 1e-3, "beta": 0.04, "micro_batch": micro_batch}
    made = load_recipe(("test", {"task": "t", "grpo": {**shape, **options}}))
    task = Task(
        name="dots",
        dataset=Dots(),
        prompt=lambda sample: Prompt(sample.question, sample.images),
        parser=Integer(),
        rewards={},
        summary="Count dots.",
    )
    lines, written = [], []
    policy = load_model(source)
    trainer = grpo.grpo_trainer(
        policy,
        task,
        made,
        take(task, "rl"),
        grpo_config(made, folder),
        scorer=ByLength(),
        observe=lambda step, rollouts: written.extend(r.completion for r in rollouts),
        callbacks=[Progress("grpo", lines.append, show=False)],
    )
    quiet(trainer).train()
    return lines, written, policy.model.state_dict(), torch.get_rng_state()


def without(lines):
    ours = ("gradient/", "time", "runtime", "per_second")
    return [{k: v for k, v in line.items() if not any(o in k for o in ours)} for line in lines]


def model_of(kind, folder):
    if kind == "qwen2_vl":
        return tiny_qwen2_vl(folder / "model")
    nano = pytest.importorskip("rft_nano")
    return nano.toy() if kind == "toy" else nano.nano()


@pytest.mark.parametrize(
    ("kind", "micro_batch"), [("toy", None), ("toy", 4), ("nano", None), ("qwen2_vl", None)]
)
def test_training_is_bit_for_bit_the_same_without_the_measurement(
    kind, micro_batch, tmp_path, monkeypatch
):
    source = model_of(kind, tmp_path)
    with quiet_libraries():
        lines, rollouts, weights, random = trained(source, tmp_path / "on", micro_batch)
        monkeypatch.setattr(grpo, "GradientAgreement", lambda reuse: TrainerCallback())
        plain, its_rollouts, its_weights, its_random = trained(
            source, tmp_path / "off", micro_batch
        )

    assert [line.get("gradient/pairs") for line in lines[:4]] == [None, 1, 2, 3]
    assert not any("gradient/pairs" in line for line in plain)
    assert (without(lines), rollouts) == (without(plain), its_rollouts)
    assert all(torch.equal(weights[name], its_weights[name]) for name in its_weights)
    assert torch.equal(random, its_random)
