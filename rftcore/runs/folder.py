"""Every file of a run by name, with a method to read and to write each."""

import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from rftcore import jsontext
from rftcore.completions import ScoredCompletion, read_completions
from rftcore.errors import RunError
from rftcore.runs.claim import MANIFEST, RECIPE, Claimed

METRICS, ROLLOUTS, FAILURES = "metrics.jsonl", "rollouts.jsonl", "failures.jsonl"
PROMPTS, TRACKING = "prompts.jsonl", "tracking.json"
USAGE = "usage.json"
PARTIAL = "partial"
GREEDY = "greedy"
KINDS = (GREEDY, "blind", "sampled")  # of answers
SUMMARY, TABLE, REPORT = "summary.json", "summary.txt", "report.html"
EVALUATION, MODEL, ADAPTER, CARD = "evaluation", "model", "adapter", "README.md"
PHASES = ("sft", "grpo")  # that train, in order
FAILURES_KEPT = 10_000_000  # bytes

Line = Mapping[str, Any]


class Watcher(Protocol):
    """Receives what is measured when it is written."""

    def logged(self, line: Line) -> None:
        """A line of training."""

    def scored(self, stage: str, scores: Sequence[Line]) -> None:
        """The scores of a stage so far."""


class RunFolder(Claimed):
    """One run's files. Use it as a context manager to hold its lock."""

    watcher: Watcher | None = None

    # --- where a run comes from ---

    @property
    def recipe_file(self) -> Path:
        """The resolved recipe, as YAML."""
        return self.path / RECIPE

    def manifest(self) -> dict[str, Any]:
        """What the run's numbers can be traced to. Raises: RunError if it is damaged."""
        facts = self.read_json(MANIFEST)
        if not isinstance(facts, dict):
            raise RunError(f"{self.path / MANIFEST} does not hold facts by name: restore it")
        return facts

    def record(self, **facts: object) -> None:
        """Add facts to the manifest; one that is there is replaced."""
        self.update_json(MANIFEST, facts)

    # --- policies ---

    def phase_folder(self, phase: str) -> Path:
        """Where a phase keeps its checkpoints."""
        return self.path / phase

    def model_folder(self, phase: str) -> Path:
        """Where a phase saves its policy."""
        return self.path / phase / MODEL

    def adapter_folder(self, phase: str) -> Path:
        """Where a phase that trains an adapter saves it."""
        return self.path / phase / ADAPTER

    def base_folder(self) -> Path:
        """Where the base model is, if the run began with an adapter: both, merged."""
        return self.path / "base" / MODEL

    def policy(self, phase: str) -> Path:
        """The policy of a finished phase. Raises: RunError if it is missing."""
        folder = self.model_folder(phase)
        if not (folder / "config.json").is_file():
            raise RunError(
                f"run {self.path}: phase {phase} is finished, but its policy is not in {folder}: "
                "restore that folder, or start a new run"
            )
        return folder

    def newest_policy(self) -> Path | None:
        """The policy after GRPO, else after SFT; None if no phase is finished.

        Raises: RunError if it is missing.
        """
        return next((self.policy(p) for p in reversed(PHASES) if self.done(p)), None)

    def card(self, phase: str) -> Path:
        """Where the model card of a phase's policy is."""
        return self.model_folder(phase) / CARD

    def write_card(self, phase: str, text: str) -> None:
        """Write the model card of a phase's policy."""
        self.write_text(f"{phase}/{MODEL}/{CARD}", text)

    def write_phase(self, phase: str, facts: Line) -> None:
        """Write how a phase ended."""
        self.write_json(_result(phase), facts)

    def phase(self, phase: str) -> dict[str, Any]:
        """How a finished phase ended. Raises: RunError if its file does not hold that."""
        facts = self.read_json(_result(phase))
        if not isinstance(facts, dict):
            raise self.not_written_by(phase)
        return facts

    def not_written_by(self, phase: str) -> RunError:
        """The error for a file of a phase that lacks what the phase writes."""
        file = self.path / _result(phase)
        return RunError(f"{file} is not what {phase} wrote: restore it from a copy")

    # --- lines of training ---

    def log(self, line: Line) -> None:
        """Add the numbers of a step: `phase`, `step`, and what was logged."""
        self.append_jsonl(METRICS, line)
        if self.watcher is not None:
            self.watcher.logged(line)

    def metrics(self, phase: str | None = None) -> list[dict[str, Any]]:
        """What was logged, of one phase or of all."""
        lines = self.read_jsonl(METRICS)
        return [line for line in lines if phase in (None, line["phase"])]

    def add_rollout(self, rollout: ScoredCompletion) -> None:
        """Add one rollout of GRPO."""
        self.append_jsonl(ROLLOUTS, rollout.to_json())

    def rollouts(self) -> list[ScoredCompletion]:
        """The rollouts of GRPO that were kept, in order. Raises: RunError for a faulty line."""
        return self._completions(ROLLOUTS)

    def forget_after(self, phase: str, step: int) -> None:
        """Drop the lines of a phase's steps after `step`: a resumed run takes them again."""

        def keep(line: Line) -> bool:
            return bool(line["phase"] != phase or line["step"] <= step)

        self.keep_jsonl(METRICS, keep)
        self.keep_jsonl(FAILURES, keep)
        if phase == "grpo":
            self.keep_jsonl(ROLLOUTS, lambda line: line["step"] <= step)
            self.keep_jsonl(PROMPTS, lambda line: line["step"] <= step)

    def prompts(self) -> list[dict[str, Any]]:
        """What the groups of each step's prompts earned, where `grpo.skip` depends on it."""
        return self.read_jsonl(PROMPTS)

    def add_prompts(self, line: Line) -> None:
        """Add what the groups of a step earned."""
        self.append_jsonl(PROMPTS, line)

    # --- failed reward calls ---

    @property
    def failures_file(self) -> Path:
        """Where failed reward calls are kept."""
        return self.path / FAILURES

    def add_failure(self, line: Line) -> None:
        """Add a failed reward call, unless the file is full."""
        self.append_jsonl(FAILURES, line, most_bytes=FAILURES_KEPT)

    def failures(self) -> list[dict[str, Any]]:
        """The failed reward calls that were kept."""
        return self.read_jsonl(FAILURES)

    def has_all_failures(self) -> bool:
        """Whether the file never was full."""
        return not self.failures_file.exists() or self._size(FAILURES) <= FAILURES_KEPT

    def forget_failures(self, about: Line, *, from_batch: int = 0) -> None:
        """Drop the failures with these fields, of this batch or a later one: made again."""

        def keep(line: Line) -> bool:
            return not about.items() <= line.items() or line.get("batch", 0) < from_batch

        self.keep_jsonl(FAILURES, keep)

    # --- evaluations ---

    def scores(self, stage: str) -> list[dict[str, Any]]:
        """The scores of a stage that have been written, one per split."""
        name = scores_name(stage)
        found: list[dict[str, Any]] = self.read_json(name) if (self.path / name).exists() else []
        return found

    def write_scores(self, stage: str, scores: Sequence[Line]) -> None:
        """Write the scores of a stage so far."""
        self.write_json(scores_name(stage), scores)
        if self.watcher is not None:
            self.watcher.scored(stage, scores)

    def answers(self, stage: str, split: str, kind: str = GREEDY) -> list[ScoredCompletion]:
        """The policy's answers to the questions of a split. Raises: RunError for a faulty line.

        kind: "greedy", "blind" or "sampled" (`rftcore.evaluation.keeping.Kind`).
        """
        return self._completions(answers_name(stage, split, kind))

    def write_answers(
        self, stage: str, split: str, answers: Iterable[ScoredCompletion], kind: str = GREEDY
    ) -> None:
        """Write the answers to the questions of a split."""
        rows = jsontext.lines(each.to_json() for each in answers)
        self.write_text(answers_name(stage, split, kind), rows)

    def copy_answers(self, stage: str, to: str, split: str) -> None:
        """Write the answers to a split under the name of another stage, too."""
        for kind in KINDS:
            name = answers_name(stage, split, kind)
            if (self.path / name).is_file():
                self.write_text(answers_name(to, split, kind), self.read_text(name))

    def partial(self, kind: str, stage: str, split: str) -> list[dict[str, Any]]:
        """The answers of an evaluation that has not ended, and what they cost."""
        return self.read_jsonl(_partial(kind, stage, split))

    def cut_partial(self, kind: str, stage: str, split: str, rows: int) -> None:
        """Drop the answers after the first `rows`: they will be made again."""
        name = _partial(kind, stage, split)
        lines = self.read_jsonl(name)
        if len(lines) > rows:
            self.write_text(name, "".join(map(jsontext.line, lines[:rows])))

    def add_partial(self, kind: str, stage: str, split: str, lines: Iterable[Line]) -> None:
        """Add answers of an evaluation that has not ended."""
        for line in lines:
            self.append_jsonl(_partial(kind, stage, split), line)

    def drop_partial(self) -> None:
        """Remove the answers of evaluations that have ended meanwhile."""
        if self.writes:
            shutil.rmtree(self.path / EVALUATION / PARTIAL, ignore_errors=True)

    # --- what the run used ---

    def usage(self) -> dict[str, dict[str, Any]]:
        """What evaluations used: by phase, then by stage and split."""
        found: dict[str, dict[str, Any]] = self.read_json(USAGE) if self._has(USAGE) else {}
        return found

    def add_usage(self, phase: str, part: str, used: Line) -> None:
        """Write what a part of a phase used; if it is there, it is replaced."""
        known = self.usage()
        self.write_json(USAGE, {**known, phase: {**known.get(phase, {}), part: used}})

    def _completions(self, name: str) -> list[ScoredCompletion]:
        return read_completions(self.read_jsonl(name), str(self.path / name))

    # --- trackers ---

    def tracking(self) -> dict[str, Any]:
        """The names of this run in its trackers, and what those that cannot be asked have."""
        return dict(self.read_json(TRACKING)) if (self.path / TRACKING).exists() else {}

    def note_tracking(self, **facts: object) -> None:
        """Add facts about trackers; one that is there is replaced."""
        self.write_json(TRACKING, {**self.tracking(), **facts})

    def sent(self, tracker: str) -> dict[str, int]:
        """The last step of each name that a tracker has received."""
        return dict(self.tracking().get("sent", {}).get(tracker, {}))

    def note_sent(self, tracker: str, last: Mapping[str, int]) -> None:
        """Keep the last step of each name that a tracker has received."""
        self.note_tracking(sent={**self.tracking().get("sent", {}), tracker: last})

    # --- the end ---

    def write_summary(self, facts: Line, table: str) -> None:
        """Write the numbers and the table of the whole run."""
        self.write_json(SUMMARY, facts)
        self.write_text(TABLE, table + "\n")

    def ended(self) -> bool:
        """Whether the whole run has ended: its table is written last."""
        return (self.path / TABLE).is_file()

    def summary(self) -> dict[str, Any]:
        """The numbers of the whole run. Raises: RunError if it has not ended."""
        found: dict[str, Any] = self.read_json(SUMMARY)
        return found

    def table(self) -> str:
        """The table of the whole run. Raises: RunError if it has not ended."""
        return self.read_text(TABLE).rstrip("\n")

    @property
    def report_file(self) -> Path:
        """The page that shows the run, if it was written."""
        return self.path / REPORT

    # --- what a fork takes over ---

    def take_over(self, parent: "RunFolder", phases: Collection[str]) -> None:
        """Put the files of another run's phases into this one.

        Raises: RunError if a policy is not there.
        """
        for phase in phases:
            for file in parent._of_phase(phase):
                _link(parent.path / file, self.path / file)
        for name in (METRICS, FAILURES):
            for line in parent.read_jsonl(name):
                if line["phase"] in phases:
                    self.append_jsonl(name, line)
        if used := {name: parts for name, parts in parent.usage().items() if name in phases}:
            self.write_json(USAGE, used)

    def _of_phase(self, phase: str) -> list[Path]:
        """The files that a phase wrote, but for checkpoints."""
        kind, _, stage = phase.partition(":")
        root = self.path
        if kind == "evaluate":
            folder = root / EVALUATION
            found = [*folder.glob(f"{stage}.json"), *folder.glob(f"{stage}-*.json*")]
            found += [p for kind in KINDS[1:] for p in folder.glob(f"{kind}/{stage}-*.jsonl")]
        elif phase in PHASES:
            model = self.model_folder(phase)
            saved = [*model.rglob("*"), *self.adapter_folder(phase).rglob("*")]
            found = [root / _result(phase), *(p for p in saved if p.is_file())]
            if not (model / "config.json").is_file():
                raise RunError(f"run {root}: the policy of {phase.upper()} is not in {model}")
        else:
            found = []
        return sorted(path.relative_to(root) for path in found)

    def _has(self, name: str) -> bool:
        return (self.path / name).is_file()

    def _size(self, name: str) -> int:
        return (self.path / name).stat().st_size


def scores_name(stage: str) -> str:
    """The file of a stage's scores, relative to the run."""
    return f"{EVALUATION}/{stage}.json"


def answers_name(stage: str, split: str, kind: str = GREEDY) -> str:
    """The file of a split's answers after a stage, relative to the run."""
    folder = EVALUATION if kind == GREEDY else f"{EVALUATION}/{kind}"
    return f"{folder}/{stage}-{split}.jsonl"


def _partial(kind: str, stage: str, split: str) -> str:
    return f"{EVALUATION}/{PARTIAL}/{kind}-{stage}-{split}.jsonl"


def _result(phase: str) -> str:
    return f"{phase}.json"


def _link(source: Path, target: Path) -> None:
    """The same file in another place: weights take no room twice, where links are possible."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.suffix == ".safetensors":
        with suppress(OSError):  # another disk, or a file system without links
            os.link(source, target)
            return
    shutil.copyfile(source, target)
