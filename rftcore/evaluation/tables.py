"""The table a run ends with, from its evaluation scores alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rftcore.columns import table
from rftcore.evaluation.details import NO_NUMBER, beside, cells_of, detail_tables, percent
from rftcore.evaluation.scores import Gain, MeasureScore, SplitScore, SuiteScore
from rftcore.intervals import paired
from rftcore.progress import clock

STAGES = {"start": "zero-shot", "sft": "after SFT", "grpo": "after GRPO"}
PHASES = {"start": "zero-shot", "sft": "SFT", "grpo": "GRPO"}


@dataclass(frozen=True)
class Summary:
    """What a run bought: scores by stage, and where everything was written.

    heading: what was run. used: what it used. notes: what a reader of the table needs besides,
    such as a phase that learned nothing.
    """

    run_dir: Path
    scores: Mapping[str, Sequence[SplitScore]] = field(default_factory=dict)
    gains: Sequence[Gain] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    notes: Sequence[str] = ()
    heading: str = ""
    used: str = ""

    def table(self) -> str:
        """Stages by splits, each cell an accuracy with its 95 % interval; then what each gained."""
        rows = [(row_name(stage, scores), scores) for stage, scores in self.scores.items()]
        if any(scores for _, scores in rows):
            details = [f"\n{each}" for each in detail_tables(rows)]
            lines = [score_table(rows, self.gains), *details, *[""] * bool(details)]
        else:
            lines = ["no accuracy: evaluation.splits names no split"]
        if self.heading:
            lines.insert(0, self.heading)
        if self.seconds:
            spent = ", ".join(f"{phase} {clock(s)}" for phase, s in self.seconds.items())
            lines.append(f"time: {spent}")
        lines += [self.used] * bool(self.used)
        lines += [f"note: {note}" for note in self.notes]
        return "\n".join([*lines, f"run: {self.run_dir}"])


def gain(
    split: str, since: str, stage: str, right: Sequence[tuple[bool | None, bool | None]]
) -> Gain:
    """Sum up what one stage changed. right: for each question, before and after.

    A question that was not scored in both (None) has no part in it.
    """
    known = [pair for pair in right if None not in pair]
    if not known:
        return Gain(split, since, stage, 0, None, None, None)
    won = sum(bool(after and not before) for before, after in known)
    lost = sum(bool(before and not after) for before, after in known)
    low, high = paired(won, lost, len(known))
    return Gain(split, since, stage, len(known), (won - lost) / len(known), low, high)


def score_table(
    rows: Sequence[tuple[str, Sequence[SplitScore]]], gains: Sequence[Gain] = ()
) -> str:
    """Plain-text table in percent: a column per split, a row per name, a row per step between.

    A cell that rests on fewer than the n samples of its column shows on how many.
    """
    sizes: dict[str, int] = {}
    for score in (score for _, scores in rows for score in scores):
        sizes[score.split] = max(sizes.get(score.split, 0), score.n + score.unscored)
    header = ["accuracy %", *(f"{split} (n={n})" for split, n in sizes.items())]
    scored = [
        row
        for name, scores in rows
        for row in (
            [name, *cells_of(sizes, {s.split: _cell(s, sizes[s.split]) for s in scores})],
            *beside(name, scores, sizes),
        )
    ]
    steps: dict[str, dict[str, str]] = {}
    for each in gains:
        since, stage = (PHASES.get(s, s) for s in (each.since, each.stage))
        steps.setdefault(f"{since} to {stage}", {})[each.split] = _change(
            each, sizes.get(each.split, each.n)
        )
    gained = [[name, *cells_of(sizes, changes)] for name, changes in steps.items()]
    return table([header], scored, gained)


def suite_table(score: SuiteScore) -> str:
    """Plain-text table in percent: a row per key, with its own images and with those of others."""
    header = ["%", "right", "images swapped"]
    rows = [
        [key, _measured(right), _measured(score.blind[key]) if key in score.blind else "-"]
        for key, right in score.measures.items()
    ]
    return table([header], rows)


def row_name(stage: str, scores: Sequence[SplitScore]) -> str:
    """The name of a stage's row, with its prompt and parser if they are not those of training."""
    return labeled(STAGES.get(stage, stage), scores)


def labeled(name: str, scores: Sequence[SplitScore]) -> str:
    """The name of a row, with its prompt and parser if they are not those of training."""
    prompts = [f"{score.prompt} prompt" for score in scores if score.prompt != "reason"]
    parsers = [f"{score.parser} parser" for score in scores if score.parser != "strict"]
    unlike = ", ".join(dict.fromkeys(prompts + parsers))
    return f"{name} ({unlike})" if unlike else name


def _cell(score: SplitScore, size: int) -> str:
    if score.accuracy is None or score.low is None or score.high is None:
        shown = NO_NUMBER
    else:
        shown = percent(score.accuracy, score.low, score.high)
    if score.unscored:
        shown += f", {score.unscored} not scored"
    return shown + (f", n={score.n}" if score.n + score.unscored != size else "")


def _measured(score: MeasureScore) -> str:
    if score.value is None or score.low is None or score.high is None:
        return f"{NO_NUMBER}, {score.failed} not scored"
    shown = f"{percent(score.value, score.low, score.high)}, n={score.n}"
    return shown + (f", {score.failed} not scored" if score.failed else "")


def _change(gain: Gain, size: int) -> str:
    if gain.change is None:
        return NO_NUMBER
    shown = f"{gain.change:+.1%} [{gain.low:+.1%}, {gain.high:+.1%}]".replace("%", "")
    return shown + (f", n={gain.n}" if gain.n != size else "")
