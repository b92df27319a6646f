"""Load a model with its processor completely, or raise.

transformers fills in weights that are missing and drops those that are left over. Here either is
a `ModelError`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rftcore.config import PolicyRecipe
from rftcore.errors import ModelError
from rftcore.models.adapters import is_adapter, merged
from rftcore.models.configs import model_config
from rftcore.models.devices import best_device, reading_dtype
from rftcore.models.encoding import sentence
from rftcore.models.load_errors import as_model_errors
from rftcore.models.policy import VISION_PARTS, Policy, tokenizer_of
from rftcore.models.processors import load_processor
from rftcore.models.sources import PLAIN, arguments, complete_source
from rftcore.models.support import unfit

# In old checkpoints; they are computed, not learned.
_COMPUTED = ("rotary_emb.inv_freq", "position_ids")


def load_model(
    source: str | Path,
    settings: PolicyRecipe = PLAIN,
    *,
    dtype: str = "auto",
    device: str | None = None,
    quantized: bool = False,
) -> Policy:
    """Load the model and processor in a folder or of a hub name; every weight must be there.

    An adapter is loaded with its base, and merged into it.
    dtype: of the weights, by torch's name. "auto" is for reading and generating: bfloat16 on an
    accelerator that computes in it, else float32. Training needs float32: half precision has
    no room for small steps. quantized: keep linear layers of the language model in 4 bits.
    Raises: `ModelError` for missing, unexpected or damaged weights and files.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForImageTextToText

    device = device or best_device()
    dtype = reading_dtype(device) if dtype == "auto" else dtype
    processor = load_processor(source, settings)
    whole, its = complete_source(source, settings)
    if reason := unfit(model_config(source, settings)):
        raise ModelError(f"model {str(source)!r} cannot be used: {reason}")
    options = _how(whole, its, getattr(torch, dtype), device if quantized else None)
    models: Any = AutoModelForImageTextToText  # untyped in transformers
    with as_model_errors(whole), _undivided():
        try:
            model, report = models.from_pretrained(whole, **options, output_loading_info=True)
        except (SafetensorError, RuntimeError) as error:
            raise ModelError(
                f"the weights of model {str(source)!r} cannot be read: {sentence(error)}. "
                "They are cut off, or are not those of its config.json: copy or save them again"
            ) from error
    _require_every_weight(whole, report)
    _require_every_embedding(whole, model, processor)
    if is_adapter(source):
        model = merged(model, source)
    without_router_logits(model)
    return Policy(model if quantized else model.to(device), processor, str(source))


def without_router_logits(model: Any) -> None:
    """Let a mixture of experts compute no loss of its routers unless a call requires it.

    With a cache, as in `generate`, that loss fails. TRL's trainers pass `output_router_logits`
    where they use it.
    """
    text = model.config.get_text_config()
    if getattr(text, "output_router_logits", False):
        text.output_router_logits = False


def _how(
    source: str | Path, settings: PolicyRecipe, dtype: Any, quantized_on: str | None
) -> dict[str, Any]:
    """How transformers is to load weights. quantized_on: the device of 4-bit weights, if any."""
    options = {"dtype": dtype, **arguments(source, settings)}
    if settings.attention is not None:
        options["attn_implementation"] = settings.attention
    if quantized_on is not None:  # 4-bit weights cannot be moved after they are made
        from transformers import BitsAndBytesConfig

        made: Any = BitsAndBytesConfig  # untyped in transformers
        options["quantization_config"] = made(**four_bits(dtype))
        options["device_map"] = {"": quantized_on}
    return options


def four_bits(dtype: Any) -> dict[str, Any]:
    """Fields of `BitsAndBytesConfig` for QLoRA: NF4 with quantized constants, computed in `dtype`.

    The vision tower, the projector and the head stay as they are: they are small, and TRL
    multiplies by the head's weights itself.
    Source: arXiv:2305.14314.
    """
    return {
        "load_in_4bit": True,
        "bnb_4bit_quant_type": "nf4",
        "bnb_4bit_use_double_quant": True,
        "bnb_4bit_compute_dtype": dtype,
        "llm_int8_skip_modules": [*sum(VISION_PARTS.values(), ()), "lm_head"],
    }


@contextmanager
def _undivided() -> Iterator[None]:
    """Load a whole model. With DeepSpeed's stage 3, transformers would load this process's part.

    A trainer's configuration switches that on again, and its engine divides the model.
    """
    if os.environ.get("ACCELERATE_USE_DEEPSPEED", "").lower() == "true":
        from transformers.integrations import deepspeed

        hooks: Any = deepspeed  # untyped in transformers
        hooks.unset_hf_deepspeed_config()
    yield


def _require_every_weight(source: str | Path, report: Mapping[str, Any]) -> None:
    """Raise `ModelError` if a weight was missing, left over or of another shape.

    transformers fills in a missing one at random and drops one that is left over,
    so the model would not be the one that was saved.
    """
    found = {
        "missing": sorted(report["missing_keys"]),
        "unexpected": sorted(k for k in report["unexpected_keys"] if not k.endswith(_COMPUTED)),
        "of another shape": sorted(str(key[0]) for key in report["mismatched_keys"]),
    }
    faults = [
        f"{len(keys)} {what} ({', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''})"
        for what, keys in found.items()
        if keys
    ]
    if faults:
        raise ModelError(
            f"the weights of model {str(source)!r} are not those of its config.json: "
            f"{'; '.join(faults)}. Check that its folder has one complete model"
        )


def _require_every_embedding(source: str | Path, model: Any, processor: Any) -> None:
    """Raise `ModelError` if the tokenizer has tokens that the model has no embedding for."""
    tokenizer = tokenizer_of(processor)
    rows = model.get_input_embeddings().weight.shape[0]
    # Some models replace their image token before they look it up, so it may be beyond.
    replaced = {getattr(processor, f"{kind}_token", None) for kind in ("image", "video", "audio")}
    beyond = [t for t, n in tokenizer.get_vocab().items() if n >= rows and t not in replaced]
    if beyond:
        raise ModelError(
            f"the tokenizer of model {str(source)!r} has {len(beyond)} tokens, such as "
            f"{min(beyond)!r}, for which the model has no embedding (it has {rows}): add them with "
            "`model.resize_token_embeddings(len(tokenizer))` and save the model again, or take "
            "the tokenizer that belongs to it"
        )
