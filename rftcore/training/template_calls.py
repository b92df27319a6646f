"""Let TRL name the conversation that it passes to a chat template.

It calls `apply_chat_template(conversation=...)`; some processors (Qwen3-Omni) name that parameter
otherwise.
"""

from __future__ import annotations

import copy
import inspect
from typing import Any


def with_named_conversation(processor: Any) -> Any:
    """The processor as TRL is to call it: itself, or a copy whose parameter has TRL's name."""
    plain = type(processor)
    if "conversation" in inspect.signature(plain.apply_chat_template).parameters:
        return processor

    def apply_chat_template(self: Any, conversation: Any, *args: Any, **settings: Any) -> Any:
        return plain.apply_chat_template(self, conversation, *args, **settings)

    own = {"apply_chat_template": apply_chat_template, "__module__": plain.__module__}
    renamed = copy.copy(processor)
    renamed.__class__ = type(plain.__name__, (plain,), own)  # the same name, so it is saved alike
    return renamed
