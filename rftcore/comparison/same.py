"""Whether runs can be compared: the same samples, seen at the same size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from rftcore.comparison.rows import Measured, Row
from rftcore.errors import RunError
from rftcore.splits import VAL


def common_splits(rows: Sequence[Row], only: Sequence[str] = ()) -> list[str]:
    """The splits that all runs were evaluated on, with the same samples.

    only: the splits to compare, in place of all.
    Raises: RunError if there is none, or if a split has other samples in another run.
    """
    runs = [each for row in rows for each in row.runs]
    offered = list(runs[0].scores)
    shared = [split for split in offered if all(split in each.scores for each in runs)]
    if missing := [split for split in only if split not in shared]:
        raise RunError(
            f"not every run was evaluated on {', '.join(missing)}. All have: "
            f"{', '.join(shared) or 'no split'}"
        )
    if not shared:
        raise RunError("the runs have no split in common that all were evaluated on")
    chosen = list(dict.fromkeys(only)) or shared
    differing = {split: pair for split in chosen if (pair := _unlike(runs, split))}
    if differing:
        _refuse(differing, [split for split in chosen if split not in differing])
    return chosen


def claimed_splits(splits: Sequence[str]) -> list[str]:
    """The splits that claims are about: not `val`, on which one chooses, unless it is alone."""
    return [split for split in splits if split != VAL] or list(splits)


def notes(rows: Sequence[Row]) -> Iterator[str]:
    """Smoke runs, and what else differs: image size, length of answers, versions of packages."""
    runs = [each for row in rows for each in row.runs]
    first = runs[0]
    if smoke := [each.run.path.name for each in runs if each.manifest.get("smoke")]:
        yield (
            f"{len(smoke)} of {len(runs)} runs are smoke runs, such as {smoke[0]}: their model is "
            "random, so their accuracy is meaningless"
        )
    for each in runs[1:]:
        if _pixels(each) != _pixels(first) and each.recipe.model == first.recipe.model:
            yield (
                f"{each.run.path} saw images at another size than {first.run.path} (pixel_budget "
                "of their manifests): a difference between them may come from that"
            )
            break
    limits = {each.recipe.evaluation.max_new_tokens for each in runs}
    if len(limits) > 1:
        yield (
            f"evaluation.max_new_tokens differs between runs ({', '.join(map(str, sorted(limits)))}"
            "): a shorter limit cuts answers off"
        )
    packages = [each.manifest.get("packages", {}) for each in runs]
    moved = sorted(
        name
        for name in {name for each in packages for name in each}
        if len({str(each.get(name)) for each in packages}) > 1
    )
    if moved:
        yield f"the runs were made with different versions of {', '.join(moved)}"


def _unlike(runs: Sequence[Measured], split: str) -> tuple[Measured, Measured] | None:
    """Two runs whose samples of a split differ, if there are any."""
    for one, other in pairwise(runs):
        prints = [each.manifest.get("data", {}).get(split) for each in (one, other)]
        if None not in prints and prints[0] != prints[1]:
            return one, other
        if one.answers(split)[0] != other.answers(split)[0]:
            return one, other
    return None


def _refuse(differing: dict[str, tuple[Measured, Measured]], alike: Sequence[str]) -> None:
    split, (one, other) = next(iter(differing.items()))
    also = f" (also: {', '.join(list(differing)[1:])})" if len(differing) > 1 else ""
    rest = (
        f"; --split {' --split '.join(alike)} compares what is the same"
        if alike
        else "; evaluate them on the same samples"
    )
    raise RunError(
        f"{one.run.path} and {other.run.path} were evaluated on different samples of "
        f"{split}{also}, by the fingerprints in their manifests or the questions of their answers: "
        f"their scores cannot be compared{rest}"
    )


def _pixels(measured: Measured) -> Any:
    return measured.manifest.get("pixel_budget")
