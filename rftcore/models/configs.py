"""What can be read of a model without its weights: its configuration and its context."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rftcore.config import PolicyRecipe
from rftcore.models.load_errors import as_model_errors
from rftcore.models.policy import tokenizer_of
from rftcore.models.sources import PLAIN, arguments, check_source, complete_source

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


class Context(NamedTuple):
    """How many tokens prompt and completion may have together.

    The smallest and the largest of the limits in the configuration and the tokenizer, which may
    differ; None if there is none.
    """

    smallest: int | None
    largest: int | None


def model_config(source: str | Path, settings: PolicyRecipe = PLAIN) -> PreTrainedConfig:
    """The configuration of the model in a folder or of a hub name, without its weights.

    Raises: `ModelError` if it cannot be read.
    """
    from transformers import AutoConfig

    check_source(source)
    source, settings = complete_source(source, settings)
    with as_model_errors(source):
        config: PreTrainedConfig = AutoConfig.from_pretrained(source, **arguments(source, settings))
    return config


def empty_model(source: str | Path, settings: PolicyRecipe = PLAIN) -> Any:
    """The model in a folder or of a hub name without memory for its weights, on `meta`.

    Raises: `ModelError` if its configuration cannot be read or made into a model.
    """
    import torch
    from transformers import AutoModelForImageTextToText

    models: Any = AutoModelForImageTextToText  # untyped in transformers
    config = model_config(source, settings)
    with as_model_errors(source), torch.device("meta"):
        return models.from_config(config, trust_remote_code=settings.trust_remote_code)


def read_context(source: str | Path, processor: Any, settings: PolicyRecipe = PLAIN) -> Context:
    """The context of the model in a folder or of a hub name, without its weights.

    Raises: `ModelError` if its configuration cannot be read.
    """
    config = model_config(source, settings).get_text_config()
    tokenizer = tokenizer_of(processor)
    limits = (getattr(config, "max_position_embeddings", None), tokenizer.model_max_length)
    # a tokenizer without a limit has a number far beyond any
    known = [int(limit) for limit in limits if limit and limit < 10**9]
    return Context(min(known, default=None), max(known, default=None))
