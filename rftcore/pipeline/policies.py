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

from rftcore.config import PolicyRecipe
from rftcore.errors import RunError
from rftcore.models.adapters import is_adapter
from rftcore.models.devices import reading_dtype
from rftcore.models.fingerprint import fingerprint
from rftcore.models.loading import load_model
from rftcore.models.policy import Policy
from rftcore.models.sources import PLAIN
from rftcore.runs import PHASES, RunFolder


class Policies:
    """Loads the policies of a run, with randomness seeded for each use."""

    def __init__(self, run: RunFolder, seed: int, settings: PolicyRecipe = PLAIN) -> None:
        self._run, self._seed, self._settings = run, seed, settings
        self._kept: tuple[str, str, Policy] | None = None  # source, dtype, policy

    def read(self, source: str | Path) -> Policy:
        """The policy in `source`, for what leaves it as it is. It is kept.

        Raises: `RunError` if it is a finished phase's and not what the phase has written.
        """
        named = self._settings.evaluation_dtype
        dtype = reading_dtype() if named == "auto" else named
        policy = self._get(source, dtype)
        self._kept = (str(source), dtype, policy)
        return policy

    def lend(self, source: str | Path, dtype: str) -> Policy:
        """The policy in `source`, in the dtype of training, for what leaves it as it is. Kept.

        Raises: as `read`.
        """
        policy = self._get(source, dtype)
        self._kept = (str(source), dtype, policy)
        return policy

    def take(self, source: str | Path) -> Policy:
        """The policy in `source`, for a trainer to change. It is not kept.

        Raises: as `read`.
        """
        lora = self._settings.lora
        if lora and lora.quantize:
            self._kept = None
        policy = self._get(source, self._settings.dtype, quantized=bool(lora and lora.quantize))
        self._kept = None
        return policy

    def adapter(self, phase: str) -> Path:
        """The adapter that a finished phase saved.

        Raises: `RunError` if it is not what the phase has written.
        """
        folder = self._run.adapter_folder(phase)
        if not is_adapter(folder) or not self._is_as_written(phase, "adapter_sha256", folder):
            raise _changed(phase, "adapter_sha256", folder)
        return folder

    def release(self) -> None:
        """Keep none."""
        self._kept = None

    def _get(self, source: str | Path, dtype: str, *, quantized: bool = False) -> Policy:
        from transformers import set_seed

        if self._kept is not None and self._kept[:2] == (str(source), dtype):
            policy = self._kept[2]
        else:
            self._kept = None  # before the next one takes memory
            gc.collect()  # a trained policy refers to itself
            self._require_as_written(Path(source))
            policy = load_model(source, self._settings, dtype=dtype, quantized=quantized)
        set_seed(self._seed)
        return policy

    def _require_as_written(self, source: Path) -> None:
        """Raise `RunError` if a finished phase's policy is missing or has changed."""
        phase = next((p for p in PHASES if source == self._run.model_folder(p)), None)
        if phase is None or not self._run.done(phase):
            return
        self._run.policy(phase)  # it is there
        if not self._is_as_written(phase, "model_sha256", source):
            raise _changed(phase, "model_sha256", source)

    def _is_as_written(self, phase: str, fact: str, folder: Path) -> bool:
        return bool(self._run.phase(phase).get(fact) == fingerprint(folder))


def _changed(phase: str, fact: str, folder: Path) -> RunError:
    return RunError(
        f"{folder} is not what {phase} wrote ({fact} in {phase}.json): restore it "
        "from a copy, or train again in a new run"
    )
