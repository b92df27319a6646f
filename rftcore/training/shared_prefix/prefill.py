"""The first pass of `generate`, each distinct prompt once.

`generate` starts with one call that reads the prompts into an empty cache. Here
each distinct prompt is read once, and its cache and its logits are repeated for
every row that has it. The rest of `generate` is unchanged: the same sampling, the
same random numbers, any kind of cache.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import Cache

from rftcore.models.cache_name import CACHE, cache_of
from rftcore.models.decode_loop import GrowingCache
from rftcore.training.shared_prefix.attention import Witness
from rftcore.training.shared_prefix.errors import NotShared
from rftcore.training.shared_prefix.groups import group_rows
from rftcore.training.shared_prefix.images import read_images
from rftcore.training.shared_prefix.scoring import require_known

if TYPE_CHECKING:
    from transformers.utils.generic import ModelOutput

Batched = Tensor | Mapping[str, "Batched"] | None
KNOWN = {
    *("input_ids", "attention_mask", "position_ids", CACHE, "mm_token_type_ids"),
    *("pixel_values", "image_grid_thw", "use_cache", "logits_to_keep", "return_dict"),
    "mm_encoder_outputs",
}


def is_prefill(inputs: Mapping[str, Any]) -> bool:
    """Whether this is the call of `generate` that reads the prompts."""
    cache, ids = inputs.get(CACHE), inputs.get("input_ids")
    return (
        isinstance(cache, Cache)
        and ids is not None
        and ids.shape[1] > 1
        and not torch.is_grad_enabled()
        and int(cache.get_seq_length()) == 0
    )


@dataclass(frozen=True)
class SharedPrefill:
    """A call that reads each distinct prompt once."""

    inputs: dict[str, Any]
    prompt_of: Tensor  # (B,): the number of each row's distinct prompt
    length: int  # T
    witness: Witness = field(default_factory=Witness)

    @classmethod
    def of(cls, model: Any, inputs: dict[str, Any]) -> SharedPrefill | None:
        """The shared form of a call, or None if no two rows have the same prompt.

        Raises: `NotShared` for arguments that are not known to be shareable.
        """
        require_known(inputs, KNOWN)
        if not all(hasattr(layer, "keys") for layer in inputs[CACHE].layers):
            raise NotShared("some of its layers keep a state in place of keys and values")
        ids, numbers = inputs["input_ids"], inputs.get("position_ids")
        if numbers is None or numbers.shape[-2:] != ids.shape:
            raise NotShared("`generate` gives no position numbers of the prompts")
        images = read_images(model.config, inputs)
        by_row = numbers if numbers.ndim == 2 else numbers.transpose(0, 1)
        groups = group_rows([ids, by_row], images)  # position numbers show the padding
        if len(groups) == len(ids):
            return None
        first = [group[0] for group in groups]
        call = {name: value for name, value in inputs.items() if name not in _OF_IMAGES}
        call |= {
            **{name: _rows(inputs.get(name), first) for name in _OF_ROWS if name in inputs},
            "position_ids": numbers[..., first, :],
            **images.inputs(first),
        }
        prompt_of = torch.zeros(len(ids), dtype=torch.long)
        for number, group in enumerate(groups):
            prompt_of[group] = number
        return cls(call, prompt_of.to(ids.device), ids.shape[1])

    @property
    def saved(self) -> tuple[int, int]:
        """How many tokens the model reads in this form and in the plain one."""
        return self.inputs["input_ids"].numel(), len(self.prompt_of) * self.length

    def parts(self, model: Any) -> Witness:
        """Compute attention as before, and record whether it could be computed in parts."""
        return self.witness

    def restore(self, output: Any) -> ModelOutput:
        """The result of the plain call: logits (B, 1, V), and the cache filled for all rows."""
        cache = cache_of(output)
        if isinstance(cache, GrowingCache) and self.witness.has_read(cache):
            cache.share(self.prompt_of)
        else:
            cache.reorder_cache(self.prompt_of)
        logits = output.logits.index_select(0, self.prompt_of)
        restored: ModelOutput = type(output)(logits=logits, **{CACHE: cache})
        return restored


_OF_ROWS = ("input_ids", "attention_mask", "mm_token_type_ids")
_OF_IMAGES = ("pixel_values", "image_grid_thw", "mm_encoder_outputs")


def _rows(value: Batched, rows: Sequence[int]) -> Batched:
    """The given rows of a tensor, or of every tensor of a mapping."""
    if isinstance(value, Mapping):
        return {name: _rows(each, rows) for name, each in value.items()}
    if value is None or (isinstance(value, Tensor) and len(value) == 1):
        return value  # one row for all
    if not isinstance(value, Tensor):
        raise NotShared(f"its attention takes a mask of its own kind, {type(value).__name__}")
    return value[list(rows)]
