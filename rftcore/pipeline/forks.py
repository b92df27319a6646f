"""A new run that takes over what another has finished, up to SFT, with other settings after it.

    rft train --fork RUN --set grpo.loss_type=dr_grpo

What a setting may change decides what is taken over: a policy of SFT and the
vision check only if nothing that they depend on has changed, an evaluation
only if it would be made in the same way. The data is checked anew, and must
be what it was. GRPO always starts over.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rftcore.config import Recipe, differences
from rftcore.errors import RecipeError, RunError
from rftcore.runs import MANIFEST, STATE, RunFolder

FREE = ("grpo", "scoring")  # sections that nothing before GRPO depends on
MEASURES = ("evaluation", "rewards")  # ... and those that only evaluations depend on
EVALUATIONS = ("evaluate:start", "evaluate:sft")
BASE = ("model_sha256",)  # in the manifest: what every phase began with
FACTS = {"vision_check": ("vision_check", "pixel_budget")}  # in the manifest, by phase
LINES = ("metrics.jsonl", "failures.jsonl")


class Fork:
    """What a new run takes over from `parent`. recipes: the parent's, and the new run's.

    Raises: `RunError` if the parent has not finished SFT; `RecipeError` if the new recipe
    changes nothing, or changes a setting that SFT depends on.
    """

    def __init__(self, parent: RunFolder, before: Recipe, after: Recipe) -> None:
        self.parent = parent
        self.changed = differences(before, after)
        if before.sft.enabled and not parent.done("sft"):
            raise RunError(
                f"run {parent.path} has not finished SFT, so there is no policy to fork from: "
                f"continue it by --resume {parent.path}"
            )
        if not self.changed:
            raise RecipeError(
                f"a fork of {parent.path} would be the same run: change a setting, such as "
                f"--set grpo.learning_rate=1e-5, or continue it by --resume {parent.path}"
            )
        if fixed := [name for name in self.changed if _section(name) not in (*FREE, *MEASURES)]:
            raise RecipeError(
                f"--fork cannot change {', '.join(fixed)}: what {parent.path} has finished depends "
                f"on it. A fork may change {', '.join((*FREE, *MEASURES))}; leave the change out, "
                "or start a new run"
            )
        self.phases = [phase for phase in _done(parent) if self._holds(phase)]

    def _holds(self, phase: str) -> bool:
        measured_anew = any(_section(name) in MEASURES for name in self.changed)
        return phase in ("vision_check", "sft") or (phase in EVALUATIONS and not measured_anew)

    @property
    def measured_again(self) -> list[str]:
        """Evaluations that the parent has and that the new run makes in its own way."""
        return [p for p in _done(self.parent) if p in EVALUATIONS and p not in self.phases]

    def facts(self) -> dict[str, Any]:
        """For the manifest of the new run: where it comes from, and what the phases recorded."""
        manifest = self.parent.read_json(MANIFEST)
        origin = {
            "run": str(self.parent.path.absolute()),
            "created": manifest.get("created"),
            "changed": self.changed,
            "phases": self.phases,
            "data": manifest.get("data", {}),
            "prompt_hash": manifest.get("prompt_hash"),
        }
        facts = [fact for phase in self.phases for fact in FACTS.get(phase, ())]
        taken = {fact: manifest[fact] for fact in (*BASE, *facts) if fact in manifest}
        return {"forked_from": origin, **taken}

    def fill(self, run: RunFolder) -> Sequence[str]:
        """Put the files of the phases into a new folder; return the phases.

        Raises: `RunError` if the parent lacks one.
        """
        for phase in self.phases:
            for file in _files(self.parent.path, phase):
                _link(self.parent.path / file, run.path / file)
        for name in LINES:
            for line in self.parent.read_jsonl(name):
                if line["phase"] in self.phases:
                    run.append_jsonl(name, line)
        return self.phases


def _section(setting: str) -> str:
    return setting.partition(".")[0]


def _done(run: RunFolder) -> list[str]:
    done: list[str] = run.read_json(STATE)["done"]
    return done


def _files(root: Path, phase: str) -> Iterator[Path]:
    """What a phase wrote, relative to its run. Raises `RunError` if a policy is not there."""
    name = phase.removeprefix("evaluate:")
    if phase in EVALUATIONS:
        found = [*root.glob(f"evaluation/{name}.json"), *root.glob(f"evaluation/{name}-*.json*")]
    elif phase == "sft":
        found = [root / "sft.json", *(p for p in root.glob("sft/model/**/*") if p.is_file())]
        if not (root / "sft" / "model" / "config.json").is_file():
            raise RunError(f"run {root}: the policy of SFT is not in {root / 'sft' / 'model'}")
    else:
        found = []
    yield from (path.relative_to(root) for path in sorted(found))


def _link(source: Path, target: Path) -> None:
    """The same file in another place: weights take no room twice, where links are possible."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.suffix == ".safetensors":
        try:
            os.link(source, target)
        except OSError:  # another disk, or a file system without links
            shutil.copyfile(source, target)
    else:
        shutil.copyfile(source, target)
