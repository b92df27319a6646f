"""The table a run ends with, from its evaluation scores alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rftcore.bars import clock
from rftcore.types import SplitScore

STAGES = {"start": "zero-shot", "sft": "after SFT", "grpo": "after GRPO"}


@dataclass(frozen=True)
class Summary:
    """What a run bought: scores by stage, and where everything was written."""

    run_dir: Path
    scores: Mapping[str, Sequence[SplitScore]] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)

    def table(self) -> str:
        """Stages by splits, each cell an accuracy with its 95 % interval, in percent."""
        stages = [(STAGES.get(stage, stage), scores) for stage, scores in self.scores.items()]
        lines = [score_table(stages)] if stages else []
        if self.seconds:
            spent = ", ".join(f"{phase} {clock(s)}" for phase, s in self.seconds.items())
            lines.append(f"time: {spent}")
        return "\n".join([*lines, f"run: {self.run_dir}"])


def score_table(rows: Sequence[tuple[str, Sequence[SplitScore]]]) -> str:
    """Plain-text table of accuracies in percent; a column per split, a row per name."""
    splits = list(dict.fromkeys(score.split for _, scores in rows for score in scores))
    sizes = {score.split: score.n for _, scores in rows for score in scores}
    cells = [["accuracy %", *(f"{split} (n={sizes[split]})" for split in splits)]]
    for name, scores in rows:
        by_split = {score.split: score for score in scores}
        cells.append([name, *(_cell(by_split.get(split)) for split in splits)])
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    cells.insert(1, ["-" * width for width in widths])
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in cells]
    return "\n".join(line.rstrip() for line in lines)


def _cell(score: SplitScore | None) -> str:
    if score is None:
        return "-"
    return f"{score.accuracy:.1%} [{score.low:.1%}, {score.high:.1%}]".replace("%", "")
