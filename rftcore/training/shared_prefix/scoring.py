"""Log-probabilities of completions, in the form in which TRL calls a model, one prompt per group.

TRL calls `model(..., labels=..., fused_lm_head=True)`: labels are the completions'
tokens and -100 elsewhere, and the output has one number per token and no logits.
The packed call is of the same kind, so TRL's head is used unchanged. If TRL
changes this convention, no call is recognized and all are plain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from rftcore.training.shared_prefix.attention import Segments
from rftcore.training.shared_prefix.errors import NotShared
from rftcore.training.shared_prefix.family import as_mask, positions, require_shareable
from rftcore.training.shared_prefix.groups import Group, group_rows
from rftcore.training.shared_prefix.images import read_images
from rftcore.training.shared_prefix.packing import Packing, lay_out

if TYPE_CHECKING:
    from transformers.utils.generic import ModelOutput

KNOWN = {
    *("input_ids", "attention_mask", "labels", "mm_token_type_ids", "pixel_values"),
    *("image_grid_thw", "fused_lm_head", "use_cache", "return_dict"),
}


def is_scoring(inputs: Mapping[str, Any]) -> bool:
    """Whether this is a call for log-probabilities of completions."""
    return bool(inputs.get("fused_lm_head")) and inputs.get("labels") is not None


@dataclass(frozen=True)
class SharedScoring:
    """A call for log-probabilities in which groups share their prompts."""

    inputs: dict[str, Any]
    packing: Packing
    shape: torch.Size  # of the plain batch: (B, T)

    @classmethod
    def of(cls, model: Any, inputs: dict[str, Any]) -> SharedScoring | None:
        """The shared form of a call, or None if it would be no smaller.

        Raises: `NotShared` for a call or a model that cannot be packed.
        """
        require_shareable(model)
        require_known(inputs, KNOWN)
        ids, mask, labels = (inputs[name] for name in ("input_ids", "attention_mask", "labels"))
        start = _start(ids, mask, labels, model.config)
        if start is None:
            return None
        images = read_images(model.config, inputs)
        groups = group_rows([ids[:, :start], mask[:, :start]], images)
        if len(groups) == len(ids):
            return None
        packing = lay_out(mask, groups, start)
        if packing.group.numel() >= ids.numel():
            return None
        longest = [_longest(groups[number], mask) for number in packing.order]
        numbers = _packed_positions(positions(model, inputs, longest, images), packing)
        tokens = ("input_ids", "mm_token_type_ids")
        call = {
            **{name: packing.pack(inputs[name], 0) for name in tokens if name in inputs},
            "labels": packing.labels(labels),
            "attention_mask": as_mask(model, packing.mask()),
            "position_ids": numbers,
            "fused_lm_head": True,
            **images.inputs(longest),
        }
        return cls(call, packing, ids.shape)

    @property
    def saved(self) -> tuple[int, int]:
        """How many tokens the model reads in this form and in the plain one."""
        return self.packing.group.numel(), self.shape.numel()

    def parts(self, model: Any) -> Segments | None:
        """How attention is computed in parts; None where a layer may be computed again."""
        return None if model.is_activation_checkpointing else Segments.of(self.packing)

    def restore(self, output: Any) -> ModelOutput:
        """The result of the plain call: per-token fields (B, T - 1)."""
        packed = output.log_probs.shape  # (R, L - 1)
        fields = {name: self._restored(value, packed) for name, value in output.items()}
        restored: ModelOutput = type(output)(**fields)
        return restored

    def _restored(self, value: object, packed: torch.Size) -> object:
        if isinstance(value, Tensor) and value.shape == packed:
            return self.packing.unpack(value, self.shape)
        return value


def require_known(inputs: Mapping[str, Any], known: set[str]) -> None:
    """Raise `NotShared` for an argument whose meaning in a packed batch is not known."""
    unknown = sorted(name for name in inputs.keys() - known if inputs[name] is not None)
    if unknown:
        raise NotShared(f"the model is called with {', '.join(unknown)}")


def _start(ids: Tensor, mask: Tensor, labels: Tensor, config: Any) -> int | None:
    """The column where the first completion begins, or None if there is nothing to score.

    Raises: `NotShared` if a completion is not one run of tokens that begins there.
    """
    scored = labels != -100
    columns = scored.any(0).nonzero()
    if not len(columns):
        return None
    start = int(columns[0])
    rest = mask[:, start:]
    if start == 0 or not mask[:, start - 1].all():
        raise NotShared("a prompt does not end where the completions begin")
    if (rest[:, 1:] > rest[:, :-1]).any() or scored[mask == 0].any():
        raise NotShared("a completion has gaps")
    image = getattr(config, "image_token_id", None)
    if image is not None and (ids[:, start - 1 :] == image).any():
        raise NotShared("a completion has an image, or a prompt ends in one")
    return start


def _longest(group: Group, mask: Tensor) -> int:
    """The row whose completion is longest: its position numbers are valid for the others too."""
    lengths = mask[group].sum(1)
    return group[int(lengths.argmax())]


def _packed_positions(plain: Tensor, packing: Packing) -> Tensor:
    """Position numbers (..., groups in their order, T) in the packed layout (..., R, L)."""
    place = torch.zeros(len(packing.order) + 1, dtype=torch.long, device=plain.device)
    place[torch.tensor(packing.order)] = torch.arange(len(packing.order), device=plain.device)
    return plain[..., place[packing.group], packing.column]
