"""The policy in use: weights load once per source, as long as nothing has changed them.

Checks and evaluations only read a policy, so it is kept for the next one that reads the same
source. A trainer gets it for good: it freezes parameters, replaces methods and moves weights,
so what it has had is never used for anything else. At most one policy is kept.

A source loads once per dtype: on an accelerator that reads in bfloat16 and trains in float32,
the base model and SFT's policy load twice, on a CPU once.
"""

from __future__ import annotations

import gc
from pathlib import Path

from rftcore.errors import RunError
from rftcore.models.loading import fingerprint, load_model, reading_dtype
from rftcore.models.policy import Policy
from rftcore.runs import PHASES, RunFolder


class Policies:
    """Loads the policies of a run, with randomness seeded for each use."""

    def __init__(self, run: RunFolder, seed: int) -> None:
        self._run, self._seed = run, seed
        self._kept: tuple[str, str, Policy] | None = None  # source, dtype, policy

    def read(self, source: str | Path) -> Policy:
        """The policy in `source`, for what leaves it as it is. It is kept.

        Raises: `RunError` if it is a finished phase's and not what the phase has written.
        """
        policy = self._get(source, reading_dtype())
        self._kept = (str(source), reading_dtype(), policy)
        return policy

    def take(self, source: str | Path, dtype: str) -> Policy:
        """The policy in `source`, for a trainer to change. It is not kept.

        Raises: as `read`.
        """
        policy = self._get(source, dtype)
        self._kept = None
        return policy

    def release(self) -> None:
        """Keep none."""
        self._kept = None

    def _get(self, source: str | Path, dtype: str) -> Policy:
        from transformers import set_seed

        if self._kept is not None and self._kept[:2] == (str(source), dtype):
            policy = self._kept[2]
        else:
            self._kept = None  # before the next one takes memory
            gc.collect()  # a trained policy refers to itself
            self._require_as_written(Path(source))
            policy = load_model(source, dtype=dtype)
        set_seed(self._seed)
        return policy

    def _require_as_written(self, source: Path) -> None:
        """Raise `RunError` if a finished phase's policy is missing or has changed."""
        phase = next((p for p in PHASES if source == self._run.model_folder(p)), None)
        if phase is None or not self._run.done(phase):
            return
        self._run.policy(phase)  # it is there
        if self._run.phase(phase).get("model_sha256") != fingerprint(source):
            raise RunError(
                f"{source} is not what {phase} wrote (model_sha256 in {phase}.json): restore it "
                "from a copy, or train again in a new run"
            )
