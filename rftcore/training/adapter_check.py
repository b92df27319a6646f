"""Check the settings of the policy, LoRA's among them, before a model loads."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from rftcore.config import Recipe, fault
from rftcore.errors import Fault, ModelError, RftError
from rftcore.models.adapters import PEFT_MISSING, has_peft, targets, without_adapter
from rftcore.models.configs import empty_model
from rftcore.splits import PHASE_SPLITS

USE_POLICY_LORA = (
    "rft makes adapters from its own section, for both phases: use policy.lora, "
    "such as --set policy.lora.rank=16"
)


def adapter_faults(recipe: Recipe) -> Iterator[Fault]:
    """What is wrong with the settings of LoRA on this machine, whatever the model."""
    lora = recipe.policy.lora
    if lora is None:
        return
    if not has_peft():
        yield _fault(recipe, "rank", lora.rank, PEFT_MISSING)
    if lora.quantize:
        yield from _quantize_faults(recipe)
    for phase in PHASE_SPLITS:
        section = getattr(recipe, phase)
        if lora.vision and section.enabled and section.freeze:
            rule = (
                f"{phase}.freeze = {section.freeze} ({recipe.origin(phase, 'freeze')}) keeps "
                f"those parts from training: set {phase}.freeze=[], or leave policy.lora.vision out"
            )
            yield _fault(recipe, "vision", True, rule)


def _quantize_faults(recipe: Recipe) -> Iterator[Fault]:
    import torch

    if not torch.cuda.is_available():
        rule = (
            "needs a GPU, and there is none here: leave it out, and halve the memory of the base "
            "with policy.dtype=bfloat16"
        )
        yield _fault(recipe, "quantize", "4bit", rule)
    elif importlib.util.find_spec("bitsandbytes") is None:
        rule = "needs the package bitsandbytes: pip install 'rftcore[qlora]'"
        yield _fault(recipe, "quantize", "4bit", rule)


def check_policy(recipe: Recipe, source: str | Path) -> Iterator[Fault]:
    """What is wrong with the other settings of the policy, for this model or on this machine."""
    from transformers.utils.import_utils import is_flash_attn_2_available

    policy = recipe.policy
    wrong = {
        "revision": (
            policy.revision is not None and Path(source).is_dir(),
            "is for models on the hub, and the model is a folder: leave it out",
        ),
        "attention": (
            policy.attention == "flash_attention_2" and not is_flash_attn_2_available(),
            "needs a GPU and the package flash-attn: pip install flash-attn, or use sdpa",
        ),
    }
    for name, (is_wrong, rule) in wrong.items():
        if is_wrong:
            path = ("policy", name)
            yield fault(path, getattr(policy, name), recipe.origin(*path), rule)


def check_targets(recipe: Recipe, source: str | Path) -> list[Fault]:
    """The fault of `policy.lora.targets`: a name that no layer has, or layers peft would leave out.

    The model is built from its configuration, without weights. Where that is not possible, the
    same error comes when it has been loaded.
    """
    lora = recipe.policy.lora
    if lora is None:
        return []
    try:
        model = empty_model(source, recipe.policy)
    except RftError:  # a family that cannot be built without its weights
        return []
    try:
        targets(model, lora)
    except ModelError as error:
        return [_fault(recipe, "targets", lora.targets, str(error))]
    wanted = targets(model, lora)
    if has_peft() and (left := without_adapter(model, lora)):
        sound = sorted({_last(name) for name in wanted} - {_last(name) for name in left})
        return [
            _fault(
                recipe,
                "targets",
                lora.targets,
                f"peft {metadata.version('peft')} puts no adapter on {len(left)} of these layers, "
                f"such as {left[0]}, but on experts instead: --set policy.lora.targets="
                f"[{','.join(sound)}]",
            )
        ]
    return []


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _fault(recipe: Recipe, name: str, value: object, rule: str) -> Fault:
    path = ("policy", "lora", name)
    return fault(path, value, recipe.origin(*path), rule)
