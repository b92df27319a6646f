"""The paper's recipes on a tiny Qwen2-VL and a miniature of the paper's folder.

Batch shapes, rates, budgets and losses are the recipes' own; rows are few, completions short.
Rewards are the number of letters of a completion: a random model earns no others.
"""

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image as pil
from transformers import AutoModelForImageTextToText, TrainerCallback

from rftcore import cli
from rftcore.training import grpo, real_step

ROOT = Path(__file__).parent.parent
RECIPES = ROOT / "examples" / "recipes"
FILES = {
    "counting": ("A3-Visual-Counting-train-35k-cot", "Visual-Counting-id-test-1k"),
    "structure": ("A2-Structure-Perception-train-4k5-cot", "Structure-Perception-id-test-820"),
    "transformation": (
        "A1-Spatial-Transformation-train-60k-cot",
        "Spatial-Transformation-id-test-1k",
    ),
}
GOLDS = {
    "counting": ("How many red things are there?", "3"),
    "structure": ("Is the angle right? A: yes, B: no", "B"),
    "transformation": ("What changed?", "change_size(1, 'large')"),
}
# Sizes of images: a third of CLEVR's and TRANCE's; one in 24 is above the recipes' budget.
SIZES, LARGE = ((160, 107), (107, 80)), (1000, 700)
# Of 48 rows 16 are for SFT, 3 for `val`, and the rest for GRPO; of `structure` all but `val`.
ROWS, STEPS = 48, {"counting": 2, "structure": 3, "transformation": 2}
SMALL = (
    *("dataset.sft_rows=16", "grpo.num_train_epochs=1", "grpo.logging_steps=1"),
    *("grpo.max_completion_length=16", "evaluation.max_new_tokens=8", "evaluation.samples.val=2"),
    *("evaluation.splits=[val]", "evaluation.zero_shot=false", "sft.check_lengths=false"),
    *("evaluation.after_each_phase=false", "sft.logging_steps=1"),
)


def write_folder(folder, task):
    """A miniature of the paper's folder: a training file, a test file, images of three sizes."""
    draw = random.Random(task)
    question, gold = GOLDS[task]
    for part, count in {"train": ROWS, "test": 2}.items():
        rows = []
        for at in range(count):
            count_of_images = 2 if task == "transformation" else 1
            names = [f"{part}_images/{at}-{place}.png" for place in range(count_of_images)]
            for name in names:
                file = folder / "images" / name
                file.parent.mkdir(parents=True, exist_ok=True)
                noise = pil.frombytes("RGB", (8, 8), draw.randbytes(192))
                size = LARGE if at % 24 == 5 else SIZES[at % 2]
                noise.resize(size, pil.Resampling.NEAREST).save(file)
            shown = names if len(names) > 1 else names[0]
            row = {"id": f"{part}-{at}", "image": shown, "problem": f"{at}. {question}"}
            rows.append({**row, "cot": f"I look at it, {at}.", "answer": gold})
        name = FILES[task][part == "test"]
        file = folder / f"{part}_jsons" / f"{name}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(rows))
    return folder


class Steps(TrainerCallback):
    """The gradient and learning rate of every update of a trainer, and its shapes."""

    def __init__(self):
        self.gradients, self.rates, self.args = [], [], None

    def on_pre_optimizer_step(self, args, state, control, model=None, optimizer=None, **_):
        self.args = args
        named = model.named_parameters()
        self.gradients.append({n: p.grad.double().clone() for n, p in named if p.grad is not None})
        self.rates.append({group["lr"] for group in optimizer.param_groups})


class Lively:
    """A scorer whose totals differ between completions."""

    def __init__(self, scorer):
        self.collective, self._scorer = scorer.collective, scorer

    def score(self, completions, *args, **kwargs):
        scores = self._scorer.score(completions, *args, **kwargs)
        totals = [sum(map(ord, text)) % 7 / 6 for text in completions]
        return [replace(score, total=t) for score, t in zip(scores, totals, strict=True)]


@pytest.fixture
def steps(monkeypatch):
    """What GRPO's updates of a run are made of."""
    found, make = Steps(), real_step.grpo_trainer  # the step before training makes its own

    def trainer(*args, callbacks, scorer, **kwargs):
        return make(*args, callbacks=[*callbacks, found], scorer=Lively(scorer), **kwargs)

    monkeypatch.setattr(grpo, "grpo_trainer", trainer)
    return found


def adamw(weights, steps):
    """The weights after AdamW's updates (arXiv:1711.05101, no decay), in float64."""
    after = {name: weight.double() for name, weight in weights.items()}
    first = {name: torch.zeros_like(w) for name, w in after.items()}
    second = {name: torch.zeros_like(w) for name, w in after.items()}
    for t, (gradients, (rate,)) in enumerate(zip(steps.gradients, steps.rates, strict=True), 1):
        for name, g in gradients.items():
            first[name] = 0.9 * first[name] + 0.1 * g
            second[name] = 0.999 * second[name] + 0.001 * g * g
            mean, size = first[name] / (1 - 0.9**t), second[name] / (1 - 0.999**t)
            after[name] -= rate * mean / (size.sqrt() + 1e-8)
    return after


def train(task, model, folder, out):
    recipe = RECIPES / f"{task}-qwen2-vl-2b.yaml"
    given = [f"--set={setting}" for setting in (f"dataset.path={folder}", *SMALL)]
    arguments = ["train", "--recipe", recipe, "--model", model, "--out", out, *given]
    try:
        cli.main([*map(str, arguments)], standalone_mode=False)
    except SystemExit as left:
        return left.code
    return 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "task",
    [
        *(pytest.param(task, marks=pytest.mark.long) for task in ("structure", "transformation")),
        "counting",
    ],
)
def test_a_recipe_of_the_paper_trains_one_epoch_at_its_own_batch_shapes(
    task, tiny, tmp_path, steps
):
    pytest.importorskip(f"rft_{task}")
    folder, run = write_folder(tmp_path / "data", task), tmp_path / "run"
    assert train(task, tiny("qwen2_vl"), folder, run) == 0

    args = steps.args
    assert (args.per_device_train_batch_size, args.num_generations) == (2, 8)
    assert args.generation_batch_size == 14 * 8
    assert args.gradient_accumulation_steps == 56
    logged = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    taken = [(row["phase"], row["step"]) for row in logged if "grad_norm" in row]
    updates = range(1, STEPS[task] + 1)
    assert taken == [("sft", 1), *(("grpo", step) for step in updates)]  # one epoch of each
    budget = json.loads((run / "manifest.json").read_text())["pixel_budget"]
    assert budget["size"]["longest_edge"] == 480_000
    rates = [1e-6 * (1 - step / STEPS[task]) for step in range(STEPS[task])]
    assert [rate for (rate,) in steps.rates] == pytest.approx(rates)
    assert_float32_masters_moved(run, steps)


def weights_of(folder):
    """The weights in a folder by the names that they have in the model."""
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    return {name: weight.detach() for name, weight in model.named_parameters()}


def assert_float32_masters_moved(run, steps):
    """The weights after GRPO are AdamW's at a rate of 1e-6; bfloat16 would lose its updates."""
    before, after = (weights_of(run / phase / "model") for phase in ("sft", "grpo"))
    expected, names = adamw(before, steps), {*steps.gradients[0]}
    assert names == {*before}  # all weights train
    moved = lost = count = 0
    for name in names:
        old, new, exact = before[name], after[name], expected[name]
        assert ((new.double() - exact).abs() <= 2.5e-7 * exact.abs() + 2e-9).all(), name
        live = (exact - old.double()).abs() > 1e-7
        moved += int((new != old)[live].sum())
        half = old.bfloat16()
        lost += int(((half.double() + exact - old.double()).bfloat16() == half)[live].sum())
        count += int(live.sum())
    assert count > 0.5 * sum(weight.numel() for weight in before.values())
    assert moved > 0.99 * count
    assert lost > 0.9 * count
