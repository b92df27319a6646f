"""The runs that a comparison of paradigms needs: one per row and seed, each with its settings."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rftcore.config.paradigms import PHASES, Paradigm
from rftcore.errors import RecipeError, closest

PARADIGMS = tuple(PHASES)
ZERO_SHOT: Paradigm = "zero-shot"
MOST_SEEDS = 100


@dataclass(frozen=True)
class RowSpec:
    """A row to make: its name, its paradigm, and settings of its own, as after `--set`."""

    name: str
    paradigm: Paradigm
    settings: tuple[str, ...] = ()
    base: str = ""  # the row that it has less data than
    share: float = 1.0  # of the training samples

    @property
    def folder(self) -> str:
        """The name as that of a folder."""
        return re.sub(r"[^\w.%=-]+", "-", self.name).replace("%", "pct").strip("-.") or "row"


@dataclass(frozen=True)
class Wanted:
    """A run to make: a row's settings with a seed."""

    row: RowSpec
    seed: int

    @property
    def folder(self) -> str:
        """The name of the run's folder."""
        return f"{self.row.folder}-s{self.seed}"

    @property
    def settings(self) -> dict[str, Any]:
        """What the comparison sets before the settings of the user."""
        # a row's answers before training are those of the row zero-shot: made once
        return {
            "paradigm": self.row.paradigm,
            "evaluation.zero_shot": self.row.paradigm == ZERO_SHOT,
        }


def row_specs(paradigms: Sequence[str], rows: Sequence[str] = ()) -> list[RowSpec]:
    """The rows of paradigms and of `rows`: "NAME: PARADIGM KEY=VALUE ...".

    Raises: RecipeError for an unknown paradigm, or a name that is there twice.
    """
    specs = [RowSpec(name, _paradigm(name, "--paradigms")) for name in paradigms or PARADIGMS]
    specs += map(_row, rows)
    seen: dict[str, str] = {}
    for spec in specs:
        if spec.folder in seen:
            raise RecipeError(
                f"two rows are named {spec.name!r} (--paradigms, --row), or have names of the "
                f"same folder, {spec.folder}: give them other names"
            )
        seen[spec.folder] = spec.name
    return specs


def _row(text: str) -> RowSpec:
    name, colon, rest = text.partition(":")
    try:
        words = shlex.split(rest)
    except ValueError as error:
        raise RecipeError(f"--row {text!r}: {error}") from error
    if not colon or not name.strip() or not words:
        raise RecipeError(
            f"--row {text!r}: write NAME: PARADIGM KEY=VALUE ..., such as "
            "'cot-sft-all: cot-sft sft.samples=null'"
        )
    paradigm, *settings = words
    return RowSpec(name.strip(), _paradigm(paradigm, f"--row {name}"), tuple(settings))


def _paradigm(name: str, origin: str) -> Paradigm:
    for paradigm in PARADIGMS:
        if name == paradigm:
            return paradigm
    raise RecipeError(
        f"{origin}: no paradigm named {name!r}. There are {', '.join(PARADIGMS)}."
        + closest(name, PARADIGMS)
    )


def seed_list(text: str) -> int | list[int]:
    """How many seeds, "3", or which, "3,4" ("3," is one). Raises: RecipeError for other text."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) > 1 and not parts[-1]:
        parts.pop()
    try:
        numbers = [int(part) for part in parts]
    except ValueError as error:
        raise RecipeError(
            f"--seeds {text!r}: write how many, from seed 0, such as 3, or which, such as 3,4"
        ) from error
    return numbers if "," in text else numbers[0]


def wanted(specs: Sequence[RowSpec], seeds: int | Sequence[int]) -> list[Wanted]:
    """One run per row and seed; of zero-shot one, which no seed changes.

    seeds: how many, from 0, or which. Runs of SFT alone come first, so that those with GRPO too
    can begin with their policies.
    Raises: RecipeError for a number of seeds that is out of range, a seed below 0, or one twice.
    """
    which = range(seeds) if isinstance(seeds, int) else seeds
    if not 1 <= len(which) <= MOST_SEEDS:
        number = seeds if isinstance(seeds, int) else len(which)
        raise RecipeError(f"--seeds {number}: use 1 to {MOST_SEEDS}")
    if wrong := [seed for seed in which if seed < 0 or which.count(seed) > 1]:
        raise RecipeError(f"--seeds: {wrong[0]} is below 0 or named twice")
    return [
        Wanted(spec, seed)
        for seed in which
        for spec in sorted(specs, key=lambda spec: PHASES[spec.paradigm]["grpo"])
        if seed == which[0] or spec.paradigm != ZERO_SHOT
    ]


def shares(text: str) -> list[float]:
    """The shares in "5%,20%,100%", in (0, 1]. Raises: RecipeError for another form."""
    found = []
    for word in filter(None, (part.strip() for part in text.split(","))):
        number = word.removesuffix("%").strip()
        try:
            value = float(number) / 100
        except ValueError:
            value = math.nan
        if not word.endswith("%") or not 0 < value <= 1:
            raise RecipeError(
                f"--data-efficiency {text!r}: {word!r} is not a share from more than 0% to 100%: "
                "write 5%,20%,100%"
            )
        found.append(value)
    return sorted({*found})


def with_less_data(
    specs: Sequence[RowSpec], wanted_shares: Sequence[float], sizes: Mapping[str, Mapping[str, int]]
) -> Iterator[RowSpec]:
    """The rows again with a share of their training samples, the first of each split.

    sizes: by row, the number of samples that each of its phases trains on.
    Raises: RecipeError for a share that gives a row no sample.
    """
    for share in (share for share in wanted_shares if share < 1):
        for spec in (spec for spec in specs if any(PHASES[spec.paradigm].values())):
            settings = []
            for phase, size in sizes[spec.name].items():
                if size * share < 1:
                    raise RecipeError(
                        f"--data-efficiency: {share:.3g} of the {size} samples of {phase} in row "
                        f"{spec.name} is none: use a larger share"
                    )
                settings.append(f"{phase}.samples={round(size * share)}")
            name = f"{spec.name} {100 * share:g}%"
            own = (*spec.settings, *settings)
            yield RowSpec(name, spec.paradigm, own, base=spec.name, share=share)
