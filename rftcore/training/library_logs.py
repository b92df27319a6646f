"""Leave out what the libraries below rft show: their bars, and messages that rft replaces.

A message is recognized by a part of its text. If a library changes the text, the message is
shown; nothing else depends on it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

REPLACED = {
    # two lists of all names of the model, which claim missing weights: `Weights` loads each one
    "transformers.trainer": "keys in the checkpoint model loaded",
    # one message per batch: `failures.jsonl` has every failure with its cause
    "trl.trainer.grpo_trainer": "All reward functions returned None",
}


@contextmanager
def without_bars() -> Iterator[None]:
    """Show no bar of transformers and of the hub within the block; restore both afterwards."""
    from huggingface_hub import utils
    from transformers.utils import logging

    hub: Any = utils  # its names are public, but mypy does not see that they are exported
    log: Any = logging  # untyped in transformers
    shown, hub_hidden = log.is_progress_bar_enabled(), hub.are_progress_bars_disabled()
    log.disable_progress_bar()  # the hub's, too
    try:
        yield
    finally:
        if shown:
            log.enable_progress_bar()
        (hub.disable_progress_bars if hub_hidden else hub.enable_progress_bars)()


@contextmanager
def without_replaced_messages() -> Iterator[None]:
    """Leave them out within the block."""
    filters = {name: _Without(text) for name, text in REPLACED.items()}
    for name, each in filters.items():
        logging.getLogger(name).addFilter(each)
    try:
        yield
    finally:
        for name, each in filters.items():
            logging.getLogger(name).removeFilter(each)


class _Without(logging.Filter):
    """Drops records whose message contains a text; accelerate writes the rank in front of it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def filter(self, record: logging.LogRecord) -> bool:
        return self._text not in record.getMessage()
