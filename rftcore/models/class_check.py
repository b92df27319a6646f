"""Check the class of a model before its weights load, by a copy without any.

TRL computes the loss of both phases as the head's product with the `last_hidden_state` of the
model below the head (`base_model`), which it calls with `input_ids` and `pixel_values`. Whether a
class allows that does not depend on its weights.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from rftcore.config import PolicyRecipe
from rftcore.errors import ModelError
from rftcore.models.configs import empty_model, model_config
from rftcore.models.sources import PLAIN
from rftcore.models.support import PAGE, require_supported


def require_trainable(source: str | Path, settings: PolicyRecipe = PLAIN) -> None:
    """Check the family and the class of a model, of which only the configuration is read.

    Raises: `ModelError` for a family or a class that does not train, and for a model that
    cannot be built, such as one that needs a package.
    """
    config = model_config(source, settings)
    require_supported(source, config)
    if reason := untrainable(empty_model(source, settings)):
        raise ModelError(
            f"rft does not train {source} (model_type {config.model_type}): {reason}. Take a "
            f"model of another family; {PAGE} lists those that were tested"
        )


def untrainable(model: Any) -> str:
    """Why TRL cannot compute the loss of a model of this class, or ""."""
    name = type(model).__name__
    taken = inspect.signature(type(model).forward).parameters
    if lacking := [each for each in ("input_ids", "pixel_values") if each not in taken]:
        return f"its class {name} does not take {' and '.join(lacking)}, which TRL passes"
    if not model.can_generate():
        return f"its class {name} does not generate text"
    if model.base_model is model:
        return (
            f"its class {name} has no model below its head that reads text and images, and TRL "
            "computes the loss from what such a model returns"
        )
    if model.get_output_embeddings() is None:
        return f"its class {name} has no head (get_output_embeddings), which TRL multiplies by"
    return ""
