"""What `rft plan` computes for the six recipes of the paper, as one table.

    python benchmarks/plan_recipes.py
    python benchmarks/plan_recipes.py --size 2b

Nothing is downloaded, so each part that is missing here has a stand-in:

- The model has the published shapes of Qwen2-VL and no weights (`rftcore.planning.known`), and
  each word, digit and sign of a text is one token.
- Rows are the task's own, with blank images in place of theirs: 480 x 320 pixels for counting,
  the size of CLEVR's, and elsewhere 800 x 600, the most that the paper's scripts let through.

docs/plan.md shows the output. Sizes are GB (10^9 bytes) per device.
"""

import argparse
import logging
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rftcore.models.vision import blank
from rftcore.pipeline.plan import Plan, Request, recipe_layer
from rftcore.planning import known, planner
from rftcore.planning.advice import LORA_ROW
from rftcore.planning.report import PhasePlan, Report
from rftcore.plugins import Catalogue
from rftcore.training.callbacks import quiet_libraries
from rftcore.types import Dataset, Sample

RECIPES = Path(__file__).parent.parent / "examples" / "recipes"
SIZES = {"counting": (480, 320), "structure": (800, 600), "transformation": (800, 600)}
ROWS = 8  # read per split
LIMIT = 80 * 10**9  # bytes of a device
GB = 10**9


@dataclass(frozen=True)
class Blank:
    """A dataset with blank images of one size in place of its own."""

    inner: Dataset
    pixels: tuple[int, int]

    @property
    def splits(self) -> Any:
        """Those of the dataset."""
        return self.inner.splits

    def size(self, split: str) -> int:
        """The rows of a split."""
        return self.inner.size(split)

    def sample(self, split: str, index: int) -> Sample:
        """A row with other images."""
        sample = self.inner.sample(split, index)
        return replace(sample, images=tuple(blank(self.pixels) for _ in sample.images))


def report_of(task: str, size: str) -> Report:
    """The plan of one recipe."""
    file = RECIPES / f"{task}-qwen2-vl-{size}.yaml"
    made = Request(recipe_layer(file)).plan(Catalogue.load())
    dataset: Any = made.task.dataset
    other = replace(made.task, dataset=Blank(dataset, SIZES[task]))
    plan = Plan.of(made.recipe, other, known.stand_in(str(made.model)), made.catalogue)
    return planner.Planner(planner.Request(plan, ROWS, "cuda", LIMIT, checked=True)).report()


def rows(report: Report) -> Iterator[tuple[str, ...]]:
    """A row per phase: tokens, steps and peaks."""
    for plan in report.phases:
        if plan.traced is None:
            raise SystemExit(f"{report.task} {plan.phase}: {plan.not_traced}")
        longest = plan.lengths.longest
        steps = {each.processes: str(each.steps) for each in plan.schedules}
        peaks = plan.traced.peaks

        def at(engine: str, processes: int, peaks: Any = peaks) -> str:
            found = peaks.get(engine, {}).get(processes)
            return f"{found.total / GB:.1f}" if found else "-"

        yield (
            plan.phase,
            f"{longest.image} + {longest.text + longest.target}",
            steps.get(1, "-"),
            at("ddp", 1),
            at("ddp", 8),
            at("zero-2", 8),
            at("zero-3", 8),
            at("fsdp", 8),
            at(LORA_ROW, 1),
            _best(report, plan),
        )


def _best(report: Report, plan: PhasePlan) -> str:
    """The setting that lowers the peak of one process most, if it does not fit."""
    found = [each for each in report.advice if each.phase == plan.phase]
    if not found:
        return "fits" if (plan.peak or 0) <= LIMIT else "none"
    return f"`{found[0].setting}`: {found[0].peak / GB:.1f}"


HEAD = (
    *("recipe", "phase", "longest row: image + text tokens", "steps"),
    *("DDP x 1", "DDP x 8", "ZeRO-2 x 8", "ZeRO-3 x 8", "FSDP x 8", "LoRA x 1"),
    "80 GB, one process: what helps most",
)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=("2b", "7b"), action="append", help="default: both")
    parser.add_argument("--task", choices=sorted(SIZES), action="append", help="default: all")
    chosen = parser.parse_args()
    logging.disable(logging.WARNING)
    print("| " + " | ".join(HEAD) + " |")
    print("|---" * len(HEAD) + "|")
    with tempfile.TemporaryDirectory() as cache, quiet_libraries():
        os.environ["RFT_CACHE"] = cache
        for task in chosen.task or SIZES:
            for size in chosen.size or ("2b", "7b"):
                for row in rows(report_of(task, size)):
                    print("| " + " | ".join((f"{task} {size.upper()}", *row)) + " |", flush=True)


if __name__ == "__main__":
    main()
