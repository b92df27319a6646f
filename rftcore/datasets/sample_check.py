"""The checks of one sample: its gold, its images, and what SFT teaches of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from rftcore.datasets.reasoning import CHOICES
from rftcore.datasets.rows.faults import short
from rftcore.datasets.rows.fields import reasoning_hint
from rftcore.datasets.slices import Slice, parser_of
from rftcore.errors import SampleError, describe
from rftcore.images.pixels import Pixels
from rftcore.images.threads import Job
from rftcore.prompts import has_reasoning, sft_target
from rftcore.rewards.declare import gold_fault
from rftcore.splits import SFT
from rftcore.types import Parsed, Sample, TargetMaker, Task


def check_sample(
    sample: Sample,
    task: Task,
    images: Iterable[Job[Pixels]],
    remark: Callable[[str, str], None],
    *,
    sft: Slice | None,
) -> list[str]:
    """The hashes of its images' pixels. Raises `SampleError` if the sample cannot be used.

    `images` has a function per image that returns its pixel hash and remarks, or raises.
    `remark` is called with the kind and text of each remark. `sft` is the split of the sample if
    SFT trains on it.
    """
    where = sample.where
    name = f"{type(parser_of(task)).__name__}.gold"
    try:
        gold = parser_of(task).gold(sample.gold)
    except (Exception, SystemExit) as error:
        raise SampleError(f"{name} failed: {describe(error)}", origin=where) from error
    if not isinstance(gold, Parsed):
        raise SampleError(f"{name} returned {gold!r:.60}, which is not an rft.Parsed", origin=where)
    if not gold.ok:
        raise SampleError(
            f"the parser cannot read gold {short(sample.gold)}: {gold.error}", origin=where
        )
    for fault in unusable(task, gold.value):
        raise SampleError(f"gold {short(sample.gold)}: {fault}", origin=where)
    if sft is not None:
        _check_target(sample, task.target, where, sft)
    pixels = []
    for image in images:
        try:
            seen = image()
            pixels.append(seen.hash)
            for kind, text in seen.remarks:
                remark(kind, f"{where}: {text}")
        except SampleError as error:
            if error.origin:
                raise
            raise SampleError(str(error), origin=where) from error
    return pixels


def _check_target(sample: Sample, target: TargetMaker | None, where: str, part: Slice) -> None:
    """Raise `SampleError` unless SFT can learn from the sample: by default its chain of thought."""
    if target is not None:
        target(sample)
        return
    if not has_reasoning(sample):
        hint = reasoning_hint(sample.meta)
        lacking = sum(not has_reasoning(other) for other in part)
        raise SampleError(
            f"SFT needs a chain of thought, but `cot` is empty ({lacking} of {len(part)} samples "
            f"of split {SFT} have none): " + (f"{hint}, or " if hint else "write one, ") + CHOICES,
            origin=where,
        )
    sft_target(sample)


def unusable(task: Task, gold: Any) -> Iterator[str]:
    """Why rewards of the task cannot use a parsed gold, a text per reward."""
    for name, term in task.rewards.items():
        if not isinstance(term.reward, str) and (fault := gold_fault(term.reward, gold)):
            yield f"reward {name!r} cannot use it: {fault}"
