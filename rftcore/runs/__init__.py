"""The run folder: its files, written atomically, with what each number was computed from.

    recipe.yaml                      the resolved recipe
    manifest.json                    where the numbers come from, what the data and the model are
    state.json                       which phases are done
    metrics.jsonl                    the numbers that were logged, per step
    rollouts.jsonl                   completions of GRPO, scored
    prompts.jsonl                    what the prompts of each step earned, with grpo.skip
    failures.jsonl                   reward calls that failed, if any did
    PHASE.json                       how a phase ended: sft or grpo
    PHASE/checkpoint-STEP/           what training continues from
    PHASE/model/                     the trained policy
    PHASE/model/README.md            its model card, once the run has ended
    evaluation/STAGE.json            scores per split, of a stage: start, sft or grpo
    evaluation/STAGE-SPLIT.jsonl     the answers behind them
    tracking.json                    the run's names in trackers, with tracking.to
    evaluation/blind/STAGE-SPLIT.jsonl  answers with the images of other samples, if set
    evaluation/sampled/STAGE-SPLIT.jsonl  several drawn answers per question, if set
    usage.json                       what the evaluations used
    summary.json  summary.txt        the table of the run
    report.html                      the run as a page

A file is either the old one or the new one, never half of one. JSON lines are
appended; a line torn by a kill is dropped when the next one is written or read.
`names` alone has these names: other packages call the methods of `RunFolder`.
"""

from rftcore.runs.claim import is_run, runs_in
from rftcore.runs.faults import storage_fault
from rftcore.runs.folder import RunFolder
from rftcore.runs.fork import take_over
from rftcore.runs.names import FAILURES, MANIFEST, METRICS, PHASES, PROMPTS, RECIPE, ROLLOUTS, STATE, answers_name, scores_name
from rftcore.runs.provenance import changed_versions, default_run_dir, manifest, now, provenance, task_file

__all__ = [
    "FAILURES",
    "MANIFEST",
    "METRICS",
    "PHASES",
    "PROMPTS",
    "RECIPE",
    "ROLLOUTS",
    "STATE",
    "RunFolder",
    "answers_name",
    "changed_versions",
    "default_run_dir",
    "is_run",
    "manifest",
    "now",
    "provenance",
    "runs_in",
    "scores_name",
    "storage_fault",
    "task_file",
    "take_over",
]
