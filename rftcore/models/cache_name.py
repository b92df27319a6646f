"""The name of the cache of keys and values: `cache` since transformers 5.24, before longer.

The old name still works there, with a warning, where it is an argument. Wrappers of a model see
the new one.
"""

from __future__ import annotations

from inspect import signature
from typing import Any

from transformers import GenerationMixin

_KNOWN = signature(GenerationMixin.prepare_inputs_for_generation).parameters
CACHE = "cache" if "cache" in _KNOWN else "past_key_values"


def cache_of(output: Any) -> Any:
    """The cache of a model's output."""
    return getattr(output, CACHE)
