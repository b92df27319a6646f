"""Let SFT read its targets without the start token that some processors put before any text.

TRL tokenizes prompts and targets apart. The prompt has its start token; where the processor itself
writes one (Molmo 2), the target would begin with a second.
"""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor

from rftcore.models.encoding import processor_start


def without_starts(processor: Any) -> Any:
    """The processor as SFT is to call it: itself, or a copy that adds nothing to texts alone.

    A copy is of the same name, so what is saved is the same.
    """
    start = processor_start(processor)
    if not start:
        return processor
    plain = type(processor)

    def call(this: Any, *args: Any, **options: Any) -> Any:
        made = plain.__call__(this, *args, **options)
        texts = options.get("text")
        if args or "images" in options or not isinstance(texts, list):
            return made
        if any(text.startswith(start) for text in texts):
            return made
        shape = made["input_ids"].shape  # (B, 1 + T), padded on the right
        for name, value in [*made.items()]:
            if isinstance(value, Tensor) and value.shape == shape:
                made[name] = value[:, 1:]
        return made

    own: dict[str, Any] = {"__call__": call, "__module__": plain.__module__}
    bare = copy.copy(processor)
    bare.__class__ = type(plain.__name__, (plain,), own)
    return bare
