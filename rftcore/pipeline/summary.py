"""The end of a run: what each stage gained, notes on the scores, the table."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from dataclasses import asdict

from rftcore import distributed
from rftcore.completions import ScoredCompletion
from rftcore.config import ANSWERS
from rftcore.datasets import reasoning
from rftcore.datasets.leaks import Shared
from rftcore.errors import describe
from rftcore.evaluation.notes import Measured, failure_note, score_notes
from rftcore.evaluation.scores import Gain
from rftcore.evaluation.tables import Summary, gain, row_name
from rftcore.pipeline.card import write_cards
from rftcore.pipeline.fit import finished
from rftcore.pipeline.job import Job
from rftcore.pipeline.usage import line, of_run
from rftcore.reports import write_report
from rftcore.runs import PHASES, answers_name

logger = logging.getLogger(__name__)


def gains(job: Job) -> tuple[list[Gain], list[str]]:
    """The gain of each evaluated stage over the previous one per split, and notes on missing gains.

    Answers are compared by question. If two stages have different questions, a note replaces the
    gain; the run's other numbers remain valid.
    """
    found, unknown = [], []
    for since, stage in itertools.pairwise(job.scores):
        for split in job.plan.splits:
            before, after = (job.run.answers(name, split) for name in (since, stage))
            if list(map(_question, before)) == list(map(_question, after)):
                right = [(b.correct, a.correct) for b, a in zip(before, after, strict=True)]
                found.append(gain(split, since, stage, right))
            else:
                files = [answers_name(name, split) for name in (since, stage)]
                unknown.append(
                    f"{split}: no gain is shown, because {' and '.join(files)} have different "
                    "questions: the data changed, or a file was edited"
                )
    return found, unknown


def _question(answer: ScoredCompletion) -> tuple[str, str, str]:
    return answer.id, answer.question, answer.gold


def _score_notes(job: Job) -> Iterator[str]:
    """Notes on the scores of the table: what was not scored, cut off or unparsed."""
    rows = {row_name(stage, scores): (stage, scores) for stage, scores in job.scores.items()}

    def reason(measured: Measured) -> str:
        answered = job.run.answers(rows[measured.row][0], measured.score.split)
        return next((error for each in answered if (error := each.parse_error)), "none")

    named = {name: scores for name, (_, scores) in rows.items()}
    yield from score_notes(named, job.plan.recipe.evaluation.max_new_tokens, reason)
    if failures := job.run.failures():
        file = str(job.run.failures_file)
        yield failure_note(failures, file, all_kept=job.run.has_all_failures())


def _heading(job: Job) -> str:
    recipe = job.plan.recipe
    return f"{recipe.paradigm}: task {recipe.task}, model {recipe.model}, seed {recipe.seed}"


def finish(job: Job) -> Summary:
    """Write the summary, and the page of the run; return the summary."""
    fitted = {phase: finished(job, phase) for phase in PHASES if job.run.done(phase)}
    seconds = {phase: facts.seconds for phase, facts in fitted.items()}
    notes = [note for facts in fitted.values() for note in facts.findings]
    taught = job.run.manifest().get("sft_rows")
    if stated := reasoning.note(taught, bare=job.plan.recipe.paradigm == ANSWERS):
        notes.append(stated)
    gained, unknown = gains(job)
    used = of_run(job)
    shared = job.run.manifest().get("shared_images", [])
    notes += [*unknown, *_score_notes(job), *(str(Shared(**found)) for found in shared)]
    notes += job.tracking.finish(map(asdict, gained))
    summary = Summary(job.run.path, job.scores, gained, seconds, notes, _heading(job), line(used))
    scores = {stage: [asdict(s) for s in scores] for stage, scores in job.scores.items()}
    facts = {
        "paradigm": job.plan.recipe.paradigm,
        "gains": [asdict(g) for g in gained],
        "seconds": seconds,
        "usage": {name: one.to_json() for name, one in used.items()},
        "notes": notes,
    }
    job.run.write_summary({"scores": scores, **facts}, summary.table())
    write_cards(job, gained, notes)
    if job.plan.recipe.report and distributed.is_main():
        _write_report(job)
    job.plan.catalogue.hooks.rft_run_end(run_dir=str(job.run.path), summary=scores)
    return summary


def _write_report(job: Job) -> None:
    """Write the page. The run has ended: a fault of the page is a warning, and costs no result."""
    try:
        written = write_report([job.run], job.plan.catalogue, progress=job.progress)
    except Exception as error:
        again = f"`rft report {job.run.path}` tries again"
        logger.warning("the report was not written: %s; %s", describe(error), again)
        return
    for note in written.notes:
        logger.info("report: %s", note)
