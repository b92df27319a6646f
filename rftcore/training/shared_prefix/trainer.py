"""Shared prompts in a run: the setting, the trainer's models, the metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from rftcore.training.shared_prefix.sharing import Sharing, share_prefix
from rftcore.training.step_numbers import StepNumbers

Setting = Literal["auto", "on", "off"]


class SharedPrompts(StepNumbers):
    """Makes a GRPO trainer's models share prompts, and logs what that saves.

    setting: "off" leaves the models unchanged, "auto" uses the plain form where
    prompts cannot be shared, "on" makes that an error.
    """

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._policy: Sharing | None = None

    def install(self, trainer: Any) -> None:
        """Share the prompts of the policy and of the reference model, if there is one.

        Raises: `ModelError` with "on", if the model is sharded over several processes:
        then a rank cannot check the first batch on its own.
        """
        if self._setting == "off":
            return
        required = self._setting == "on"
        self._policy = share_prefix(trainer.model, required=required)
        if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
            self._policy.disable("its weights are sharded over several processes")
        elif trainer.ref_model is not None:
            share_prefix(trainer.ref_model, required=required)

    def numbers(self, args: Any, logs: Mapping[str, Any]) -> Mapping[str, float]:
        """Whether prompts are shared, and what that saves."""
        return self._policy.metrics() if self._policy is not None else {}
