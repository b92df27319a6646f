"""Which families of models were tested, and rejection of those that are known not to train.

Support is what was tested: `support.toml` names for each family what does not work, and
tests/test_families_matrix.py runs each kind for each family.
"""

from __future__ import annotations

import logging
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from rftcore.distributed import is_main
from rftcore.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

logger = logging.getLogger(__name__)

PAGE = "docs/models.md"
AUTO = "AutoModelForImageTextToText"
# The kinds of tests, as the table of docs/models.md heads them.
KINDS: Mapping[str, str] = MappingProxyType(
    {
        "one": "One image",
        "two": "Two images",
        "none": "Text only",
        "shared": "Shared prefix",
        "checkpointing": "Checkpointing",
        "accumulation": "Accumulation",
        "lora": "LoRA",
        "resume": "Resume",
        "tokens": "Same tokens",
        "end": "End of turn",
        "blind": "Blind model",
        "plain": "Plain transformers",
    }
)


@dataclass(frozen=True)
class Family:
    """What was found of one family.

    name: as its authors spell it. tested: the kinds of `KINDS` that work. fails: why a kind does
    not work. refused: why the family is not trained at all, or "".
    """

    name: str
    refused: str = ""
    tested: Collection[str] = ()
    fails: Mapping[str, str] = field(default_factory=dict)

    @property
    def status(self) -> str:
        """Tested, partly, not tested or refused."""
        if self.refused or not self.tested:
            return "refused" if self.refused else "not tested"
        return "tested" if KINDS.keys() <= {*self.tested} else "partly"


@cache
def families() -> Mapping[str, Family]:
    """All families that were tried, by `model_type`."""
    text = Path(__file__).with_name("support.toml").read_text(encoding="utf-8")
    return {
        model_type: Family(
            entry["name"], entry.get("refused", ""), entry.get("tested", ()), entry.get("not", {})
        )
        for model_type, entry in tomllib.loads(text).items()
    }


def require_supported(source: str | Path, config: PreTrainedConfig) -> None:
    """Check a family against what was tested, before its weights load.

    A family that was not tried is a warning; so is what was found not to work in part.
    Raises: `ModelError` for a family that is known not to train, and for a kind of model that
    does not.
    """
    kind = config.model_type
    family = families().get(kind)
    if family is not None and family.refused:
        raise ModelError(
            f"rft does not train {source}, which is a {family.name} (model_type {kind}): "
            f"{family.refused}. Take a model of another family; {PAGE} lists those that were tested"
        )
    if reason := unfit(config):
        raise ModelError(
            f"rft does not train {source} (model_type {kind}): {reason}. Take a model of another "
            f"family; {PAGE} lists those that were tested"
        )
    if not is_main():
        return
    if family is None or family.status == "not tested":
        logger.warning(
            "%s is of a family that was not tested with rft (model_type %s; %s lists those that "
            "were). It trains if it passes the checks of every run: equal tokens, vision, no "
            "dependence on the batch, a first step of each phase, and equal log-probabilities of "
            "rollouts and loss",
            *(source, kind, PAGE),
        )
        return
    for part, reason in family.fails.items():
        logger.warning("%s (%s), %s: %s", source, family.name, KINDS[part].lower(), reason)


def unfit(config: PreTrainedConfig) -> str:
    """Why a kind of model is not trained or evaluated, of whatever family, or ""."""
    from transformers import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING, __version__

    if config.is_encoder_decoder:
        return (
            "it is an encoder-decoder, whose encoder reads the prompt, and rft and TRL use models "
            "that continue their prompt"
        )
    own = getattr(config, "auto_map", None) or {}
    if type(config) not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING and AUTO not in own:
        return (
            f"it is no vision-language model that {AUTO} of transformers {__version__} loads, and "
            "rft takes no other"
        )
    return ""
