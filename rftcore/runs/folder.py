"""One run's folder: its lock, its phases, and every file in it by name."""

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from rftcore import jsontext
from rftcore.completions import ScoredCompletion, read_completions
from rftcore.distributed import is_main
from rftcore.errors import RunError
from rftcore.runs.files import Files

RECIPE, MANIFEST, STATE = "recipe.yaml", "manifest.json", "state.json"
METRICS, ROLLOUTS, FAILURES = "metrics.jsonl", "rollouts.jsonl", "failures.jsonl"
SUMMARY, TABLE = "summary.json", "summary.txt"
EVALUATION, MODEL = "evaluation", "model"
PHASES = ("sft", "grpo")  # that train, in order
FAILURES_KEPT = 10_000_000  # bytes

Line = Mapping[str, Any]


class RunFolder(Files):
    """One run's files. Use it as a context manager to hold its lock.

    Rank 0 writes; on the other ranks every method that writes does nothing.
    """

    def __init__(self, path: str | Path, *, writes: bool = True) -> None:
        super().__init__(path, writes=writes)
        self._lock_file: int | None = None
        self._created: frozenset[Path] | None = None  # files, if this process made the run
        self._done_at_first: Sequence[str] = ()

    @classmethod
    def create(
        cls,
        path: str | Path,
        manifest: Mapping[str, Any],
        recipe: str = "",
        fill: Callable[[Self], Sequence[str]] = lambda run: (),
    ) -> Self:
        """Make the folder and lock it. `recipe` is the resolved recipe's YAML.

        fill: puts files into the new folder and returns the phases that are done with them.
        On other ranks than 0: wait for the folder that rank 0 makes.
        Raises `RunError` if the folder holds anything but hidden files.
        """
        if not is_main():
            return cls.follow(path)
        run = cls(path)
        try:
            run.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"output folder {path} cannot be made: {error.strerror}") from error
        if within := [str(above) for above in run.path.absolute().parents if is_run(above)]:
            with suppress(OSError):
                run.path.rmdir()
            raise RunError(f"output folder {path} is inside the run {within[0]}: choose another")
        run.lock()
        if any(not entry.name.startswith(".") for entry in run.path.iterdir()):
            run.unlock()
            raise RunError(_occupied(run.path))
        try:
            run._done_at_first = list(fill(run))
            if recipe:
                run.write_text(RECIPE, recipe)
            run.write_json(STATE, {"done": run._done_at_first})
            run.write_json(MANIFEST, manifest)  # last: with it the folder is a run
        except OSError as error:
            run._remove(run._files())
            raise RunError(
                f"output folder {path} cannot be written to: {error.strerror}"
            ) from error
        except RunError:
            run._remove(run._files())
            raise
        run._created = run._files()
        return run

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """An existing run, to read. Raises `RunError` if it is none."""
        run = cls(path, writes=is_main())
        if not (run.path / MANIFEST).is_file():
            raise RunError(f"{path} is not a run folder: it has no {MANIFEST}.{_others(run.path)}")
        return run

    @classmethod
    def resume(cls, path: str | Path) -> Self:
        """An existing run, locked, to go on with. Raises `RunError` if it is none or in use."""
        if not is_main():
            return cls.follow(path)
        run = cls.open(path)
        run.lock()
        for half in run.path.rglob(".*.tmp"):  # of a writer that was killed
            half.unlink(missing_ok=True)
        return run

    @classmethod
    def follow(cls, path: str | Path, patience_s: float = 60.0) -> Self:
        """The folder that rank 0 makes, for another rank to read.

        Raises: RunError if it is not there after `patience_s`.
        """
        start = time.monotonic()
        while not (Path(path) / MANIFEST).is_file():
            if time.monotonic() - start > patience_s:
                raise RunError(
                    f"rank 0 did not create the run folder {path} within {patience_s:g} s. Is "
                    "--out on a file system that all nodes share?"
                )
            time.sleep(0.1)
        return cls(path, writes=False)

    def discard_unstarted(self) -> None:
        """Remove a new run of which no phase has ended, so that a corrected start finds it free."""
        if self._created is None or self.read_json(STATE)["done"] != self._done_at_first:
            return
        self._remove(self._created)

    def _files(self) -> frozenset[Path]:
        return frozenset(path for path in self.path.rglob("*") if not path.is_dir())

    def _remove(self, files: Collection[Path]) -> None:
        """Delete files, then the folders that are empty: something of the user's may be there."""
        for file in files:
            file.unlink(missing_ok=True)
        (self.path / ".lock").unlink(missing_ok=True)
        folders = [path for path in self.path.rglob("*") if path.is_dir()]
        for folder in (*sorted(folders, reverse=True), self.path):
            with suppress(OSError):
                folder.rmdir()
        self._created = None

    # --- one process at a time ---

    def lock(self) -> Self:
        """Claim the folder until `unlock` or the end of this process, however it ends.

        Rank 0 holds the lock for all ranks. Raises `RunError` if another process has it.
        """
        if self._lock_file is None and self.writes:
            try:
                file = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
            except OSError as error:
                raise RunError(
                    f"output folder {self.path} cannot be written to: {error.strerror}"
                ) from error
            try:
                # lockf, not flock: forked workers that outlive a killed run must not hold it.
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                owner = os.read(file, 20).decode() or "unknown"
                os.close(file)
                raise RunError(
                    f"output folder {self.path} is in use by process {owner}: "
                    "wait for it, or choose another with --out"
                ) from error
            os.truncate(file, 0)
            os.write(file, str(os.getpid()).encode())
            self._lock_file = file
        return self

    def unlock(self) -> None:
        """Give the folder up."""
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None

    def __enter__(self) -> Self:
        return self.lock()

    def __exit__(self, *error: object) -> None:
        self.unlock()

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

    def policy(self, phase: str) -> Path:
        """The policy of a finished phase. Raises: RunError if it is gone."""
        folder = self.model_folder(phase)
        if not (folder / "config.json").is_file():
            raise RunError(
                f"run {self.path}: phase {phase} is finished, but its policy is not in {folder}: "
                "restore that folder, or start a new run"
            )
        return folder

    def newest_policy(self) -> Path | None:
        """The policy after GRPO, else after SFT; None if no phase is finished.

        Raises: RunError if it is gone.
        """
        return next((self.policy(p) for p in reversed(PHASES) if self.done(p)), None)

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

    def forget_failures(self, about: Line) -> None:
        """Drop the failures with these fields: what they are of is measured again."""
        self.keep_jsonl(FAILURES, lambda line: not about.items() <= line.items())

    # --- evaluations ---

    def scores(self, stage: str) -> list[dict[str, Any]]:
        """The scores of a stage that have been written, one per split."""
        name = scores_name(stage)
        found: list[dict[str, Any]] = self.read_json(name) if (self.path / name).exists() else []
        return found

    def write_scores(self, stage: str, scores: Sequence[Line]) -> None:
        """Write the scores of a stage so far."""
        self.write_json(scores_name(stage), scores)

    def answers(self, stage: str, split: str) -> list[ScoredCompletion]:
        """The policy's answer to every question of a split. Raises: RunError for a faulty line."""
        return self._completions(answers_name(stage, split))

    def write_answers(self, stage: str, split: str, answers: Iterable[ScoredCompletion]) -> None:
        """Write the answers to the questions of a split."""
        rows = jsontext.lines(each.to_json() for each in answers)
        self.write_text(answers_name(stage, split), rows)

    def copy_answers(self, stage: str, to: str, split: str) -> None:
        """Write the answers to a split under the name of another stage, too."""
        self.write_text(answers_name(to, split), self.read_text(answers_name(stage, split)))

    def _completions(self, name: str) -> list[ScoredCompletion]:
        return read_completions(self.read_jsonl(name), str(self.path / name))

    # --- the end ---

    def write_summary(self, facts: Line, table: str) -> None:
        """Write the numbers and the table of the whole run."""
        self.write_json(SUMMARY, facts)
        self.write_text(TABLE, table + "\n")

    def summary(self) -> dict[str, Any]:
        """The numbers of the whole run. Raises: RunError if it has not ended."""
        found: dict[str, Any] = self.read_json(SUMMARY)
        return found

    def table(self) -> str:
        """The table of the whole run. Raises: RunError if it has not ended."""
        return self.read_text(TABLE).rstrip("\n")

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

    def _of_phase(self, phase: str) -> list[Path]:
        """The files that a phase wrote, but for checkpoints."""
        kind, _, stage = phase.partition(":")
        root = self.path
        if kind == "evaluate":
            folder = root / EVALUATION
            found = [*folder.glob(f"{stage}.json"), *folder.glob(f"{stage}-*.json*")]
        elif phase in PHASES:
            model = self.model_folder(phase)
            found = [root / _result(phase), *(p for p in model.rglob("*") if p.is_file())]
            if not (model / "config.json").is_file():
                raise RunError(f"run {root}: the policy of {phase.upper()} is not in {model}")
        else:
            found = []
        return sorted(path.relative_to(root) for path in found)

    def _size(self, name: str) -> int:
        return (self.path / name).stat().st_size

    # --- progress ---

    def done(self, phase: str) -> bool:
        """Whether a phase has ended."""
        return phase in self.phases_done()

    def mark_done(self, phase: str) -> None:
        """Record that a phase has ended; call it after its last file is written."""
        done = self.phases_done()
        if phase not in done:
            self.write_json(STATE, {**self.read_json(STATE), "done": [*done, phase]})

    def phases_done(self) -> list[str]:
        """The phases that have ended, in order. Raises: RunError if the file lists none."""
        state = self.read_json(STATE)
        done = state.get("done") if isinstance(state, dict) else None
        if not isinstance(done, list) or not all(isinstance(phase, str) for phase in done):
            raise RunError(
                f"{self.path / STATE} does not list the phases that are done: restore it"
            )
        return done


def scores_name(stage: str) -> str:
    """The file of a stage's scores, relative to the run."""
    return f"{EVALUATION}/{stage}.json"


def answers_name(stage: str, split: str) -> str:
    """The file of a split's answers after a stage, relative to the run."""
    return f"{EVALUATION}/{stage}-{split}.jsonl"


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


def _occupied(path: Path) -> str:
    if (path / MANIFEST).exists():
        next_step = f"go on with it by --resume {path}, or choose another with --out"
    else:
        next_step = "choose another with --out"
        if held := sorted(child.name for child in path.iterdir() if is_run(child)):
            return (
                f"output folder {path} holds runs ({', '.join(held[-3:])}): --out is the folder of "
                f"one run, such as {path / 'NAME'}"
            )
    return f"output folder {path} is in use: {next_step}"


def is_run(path: str | Path) -> bool:
    """Whether a folder holds a run."""
    path = Path(path)
    return (path / MANIFEST).is_file() and (path / STATE).is_file()


def _others(path: Path) -> str:
    runs = sorted(p.parent.name for p in path.parent.glob(f"*/{MANIFEST}"))
    return f" Runs in {path.parent}: {', '.join(runs[-5:])}." if runs else ""
