"""Forks: new runs that reuse another run up to SFT, with other settings after it.

    rft train --fork RUN --set grpo.loss_type=dr_grpo

What a setting may change decides what is taken over: a policy of SFT and the
vision check only if nothing that they depend on has changed, an evaluation
only if it would be made in the same way. The data is checked again, and must
be what it was. GRPO always starts over.
"""

from collections.abc import Sequence
from typing import Any

from rftcore.config import ANSWERS, Recipe, differences
from rftcore.errors import RecipeError, RunError
from rftcore.runs import RunFolder, take_over

FREE = ("grpo", "scoring", "tracking", "report")  # that nothing before GRPO depends on
MEASURES = ("evaluation", "rewards")  # ... and those that only evaluations depend on
EVALUATIONS = ("evaluate:start", "evaluate:sft")
BASE = ("model_sha256",)  # in the manifest: what every phase began with
FACTS = {"vision_check": ("vision_check",)}  # in the manifest, by phase


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
        free = (*FREE, *MEASURES, *(["paradigm"] if _teach_alike(before, after) else []))
        if fixed := [name for name in self.changed if _section(name) not in free]:
            raise RecipeError(
                f"--fork cannot change {', '.join(fixed)}: what {parent.path} has finished depends "
                f"on it. A fork may change {', '.join((*FREE, *MEASURES))}; leave the change out, "
                "or start a new run"
            )
        # the last evaluation of a run measures more than the others
        self._sft_is_last = before.grpo.enabled and not after.grpo.enabled
        self.phases = [phase for phase in parent.phases_done() if self._holds(phase)]

    def _holds(self, phase: str) -> bool:
        measured_anew = any(_section(name) in MEASURES for name in self.changed)
        measured_anew |= phase == "evaluate:sft" and self._sft_is_last
        return phase in ("vision_check", "sft") or (phase in EVALUATIONS and not measured_anew)

    @property
    def measured_again(self) -> list[str]:
        """Evaluations that the parent has and that the new run makes in its own way."""
        return [p for p in self.parent.phases_done() if p in EVALUATIONS and p not in self.phases]

    def __str__(self) -> str:
        again = f"; measured again: {', '.join(self.measured_again)}" if self.measured_again else ""
        return f"{', '.join(self.phases) or 'nothing'}{again}"

    def facts(self) -> dict[str, Any]:
        """For the manifest of the new run: where it comes from, and what the phases recorded."""
        manifest = self.parent.manifest()
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
        take_over(run, self.parent, self.phases)
        return self.phases


def shares_sft(one: Recipe, other: Recipe) -> bool:
    """Whether two runs of these recipes have the same policy after SFT, and differ after it."""
    changed = differences(one, other)
    return (
        one.sft.enabled
        and other.sft.enabled
        and _teach_alike(one, other)
        and bool(changed)
        and all(_section(name) in (*FREE, *MEASURES, "paradigm") for name in changed)
    )


def _teach_alike(before: Recipe, after: Recipe) -> bool:
    """Whether both recipes have SFT, or not, and teach the same: reasoning, or bare answers."""
    kinds = [(each.sft.enabled, each.paradigm == ANSWERS) for each in (before, after)]
    return kinds[0] == kinds[1]


def _section(setting: str) -> str:
    return setting.partition(".")[0]
