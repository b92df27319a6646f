"""Compare what `rft plan` says of a step's memory with what real steps use.

    python benchmarks/plan_check.py
    python benchmarks/plan_check.py --model smolvlm

nano, and a Qwen2-VL and a SmolVLM of random weights, wider than in the tests. Two steps of SFT or
GRPO run with TRL's trainers on the CPU, and every storage that torch creates is counted; the plan
comes from `Planner`, as in the command. Prints a table; sizes are in millions of bytes.
docs/plan.md shows it.
"""

import argparse
import io
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from PIL import Image as pil
from transformers import AutoConfig, AutoModelForImageTextToText, GenerationConfig

from rftcore import rewards
from rftcore.config import Recipe, load_recipe
from rftcore.datasets.slices import take
from rftcore.images import Image
from rftcore.models.loading import load_model
from rftcore.parsers import Integer
from rftcore.pipeline.plan import Plan
from rftcore.planning.ledger import Ledger
from rftcore.planning.planner import Planner, Request
from rftcore.plugins import Catalogue
from rftcore.scoring import Scorer
from rftcore.testing.families import FAMILIES
from rftcore.training.callbacks import quiet, quiet_libraries
from rftcore.training.configs import make_config
from rftcore.training.grpo import grpo_trainer
from rftcore.training.sft import sft_trainer
from rftcore.types import Prompt, Sample, Task, Term

ROWS, SIDE = 8, 224  # rows per split; pixels of an image's side
COMPLETION = 40  # tokens
SETTINGS: Mapping[str, tuple[dict[str, Any], ...]] = {
    "sft": ({},),
    "grpo": ({}, {"shared_prefix": "off"}, {"micro_batch": 4, "beta": 0.04}),
}


class Noise:
    """Rows that differ in their image and answer only."""

    splits = ("sft", "rl", "val")

    def size(self, split: str) -> int:
        """As many for every split."""
        return ROWS

    def sample(self, split: str, index: int) -> Sample:
        """A question, with reasoning, about noise."""
        buffer = io.BytesIO()
        pil.effect_noise((SIDE, SIDE), 50 + index).convert("RGB").save(buffer, "png")
        question = "How many things are there in all of it?"
        images = (Image.from_bytes(buffer.getvalue()),)
        cot = "I count them one by one. " * 4
        return Sample(f"{split}-{index}", question, str(index), images, cot=cot)


TASK = Task(
    name="noise",
    dataset=Noise(),
    prompt=lambda sample: Prompt(sample.question, sample.images),
    parser=Integer(low=0, high=20),
    rewards={"accuracy": Term(rewards.exact)},
    summary="Count in noise.",
)


def nano(folder: Path) -> Path:
    """The shipped nano."""
    return Path(Catalogue.load().model("nano"))


def wide(family: str) -> Callable[[Path], Path]:
    """A family of the tests with 6 + 4 layers of width 256 + 128, so that activations count."""

    def build(folder: Path) -> Path:
        FAMILIES[family](folder)
        config: Any = AutoConfig.from_pretrained(folder)
        text, vision = config.text_config, config.vision_config
        text.hidden_size, text.intermediate_size, text.num_hidden_layers = 256, 1024, 6
        text.num_attention_heads, text.num_key_value_heads = 8, 2
        if family == "qwen2_vl":
            text.layer_types = ["full_attention"] * 6
            text.rope_parameters["mrope_section"] = [4, 6, 6]
            vision.embed_dim, vision.hidden_size, vision.num_heads, vision.depth = 128, 256, 4, 4
        else:
            text.head_dim = 32
            vision.hidden_size, vision.intermediate_size = 128, 512
            vision.num_attention_heads, vision.num_hidden_layers = 4, 4
        torch.manual_seed(0)
        models: Any = AutoModelForImageTextToText  # untyped in transformers
        model = models.from_config(config)
        model.generation_config = GenerationConfig.from_pretrained(folder)
        model.save_pretrained(folder)
        return folder

    return build


MODELS: Mapping[str, Callable[[Path], Path]] = {
    "nano": nano,
    "qwen2_vl": wide("qwen2_vl"),
    "smolvlm": wide("smolvlm"),
}


def recipe_of(phase: str, *, checkpointing: bool, changes: Mapping[str, Any]) -> Recipe:
    """Two steps of one phase, the other off."""
    shapes = {
        "sft": {"batch_size": 4, "freeze": []},
        "grpo": {
            "prompts_per_step": 2,
            "group_size": 4,
            "freeze": [],
            "max_completion_length": COMPLETION,
            "generation_kwargs": {"min_new_tokens": COMPLETION},  # as the plan has it
        },
    }
    common = {"max_steps": 2, "activation_checkpointing": checkpointing}
    other = "grpo" if phase == "sft" else "sft"
    sections = {phase: {**shapes[phase], **common, **changes}, other: {"enabled": False}}
    return load_recipe(("check", {"task": "noise", "evaluation": {"splits": []}, **sections}))


def measured(source: Path, recipe: Recipe, phase: str) -> int:
    """The most bytes of tensors in two real steps."""
    with tempfile.TemporaryDirectory() as out:
        config = make_config(recipe, phase, Path(out))
        config.save_strategy = "no"
        trainer = trainer_of(source, recipe, phase, config)
        model, reference = trainer.model, getattr(trainer, "ref_model", None)
        with Ledger() as ledger:
            ledger.hold([*model.parameters(), *model.buffers()])
            if reference is not None:
                ledger.hold(reference.parameters())
            trainer.train()
    return ledger.peak


def trainer_of(source: Path, recipe: Recipe, phase: str, config: Any) -> Any:
    """TRL's trainer of a phase."""
    policy = load_model(source, dtype="float32")
    if phase == "sft":
        return quiet(sft_trainer(policy, TASK, recipe, take(TASK, "sft"), config, callbacks=[]))
    trainer = grpo_trainer(
        *(policy, TASK, recipe, take(TASK, "rl"), config),
        scorer=Scorer.of(TASK, recipe),
        observe=lambda step, rollouts: None,
        callbacks=[],
    )
    return quiet(trainer)


def planned(source: Path, recipe: Recipe) -> int:
    """The peak of one process in the plan. Raises: ValueError with the reason if it has none."""
    plan = Plan.of(recipe, TASK, source, None)
    (phase,) = Planner(Request(plan, samples=None, device="cpu", checked=True)).report().phases
    if phase.peak is None:
        raise ValueError(phase.not_traced)
    return phase.peak


def rows(name: str, source: Path) -> Iterator[tuple[str, ...]]:
    """Lines of the table."""
    for phase, variants in SETTINGS.items():
        for checkpointing in (False, True):
            for changes in variants:
                made = recipe_of(phase, checkpointing=checkpointing, changes=changes)
                setting = ", ".join(f"`{key}={value}`" for key, value in changes.items())
                head = (name, phase.upper(), "yes" if checkpointing else "no", setting)
                yield *head, *compared(source, made, phase)


def compared(source: Path, recipe: Recipe, phase: str) -> tuple[str, ...]:
    """Measured, planned, ratio; or why there is none."""
    try:
        real, said = measured(source, recipe, phase), planned(source, recipe)
    except Exception as error:  # a family that cannot run so is a line of the table, too
        return "-", "-", f"{type(error).__name__}: {error}"[:120].replace("\n", " ")
    return f"{real / 1e6:.1f}", f"{said / 1e6:.1f}", f"{said / real:.2f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=sorted(MODELS), action="append", help="default: all")
    chosen = parser.parse_args().model or list(MODELS)
    print("| Model | Phase | Checkpointing | Setting | Measured, MB | Planned, MB | Ratio |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder, quiet_libraries():
        for name in chosen:
            for row in rows(name, MODELS[name](Path(folder) / name)):
                print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
