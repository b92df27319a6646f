"""Samples of SFT with and without a chain of thought: the choices, and what a run did with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rftcore.datasets.slices import Slice
from rftcore.prompts import has_reasoning
from rftcore.splits import SFT
from rftcore.types import Sample

CHOICES = (
    "give the row another split, set sft.without_cot=answer (rows without a cot are taught the "
    "bare answer, after the direct prompt) or sft.without_cot=skip (they are left out), or train "
    "with --paradigm ans-sft or reason-rft-zero"
)


@dataclass
class SftRows:
    """Counts the samples of SFT. source: the split they are from; left_out: those skipped."""

    source: str = SFT
    left_out: int = 0
    reasoned: int = 0
    bare: int = 0

    @classmethod
    def of(cls, part: Slice) -> SftRows:
        """The counter of a part, at zero."""
        return cls(part.source or part.split, part.left_out)

    def see(self, sample: Sample, split: str) -> None:
        """Count one sample, if it is one of SFT's."""
        if split == SFT and has_reasoning(sample):
            self.reasoned += 1
        elif split == SFT:
            self.bare += 1


def note(facts: Mapping[str, Any] | None, *, bare: bool) -> str:
    """What SFT did with samples without reasoning, or "" if there is nothing to state.

    facts: the fields of `SftRows`. bare: whether all are taught the bare answer in any case.
    """
    if not facts:
        return ""
    rows, parts = SftRows(**facts), []
    total = rows.reasoned + rows.bare
    if rows.source != SFT:
        parts.append(f"no split {SFT}: answers are taught on split {rows.source}, {total} samples")
    if rows.left_out:
        parts.append(
            f"{rows.left_out} samples of split {rows.source} without a cot are left out "
            "(sft.without_cot=skip)"
        )
    if rows.bare and not bare:
        parts.append(
            f"{rows.reasoned} of {total} samples have reasoning; the other {rows.bare} are taught "
            "the bare answer after the direct prompt (sft.without_cot=answer)"
        )
    return f"sft: {'; '.join(parts)}" if parts else ""
