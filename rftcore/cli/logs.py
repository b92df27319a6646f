"""Show what rft logs as lines on standard error: "warning: ..." and "note: ...".

As a library rft installs no handler and no level: Python prints warnings and drops notes,
unless the program configures the logger `rftcore`.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import click

LABELS = {logging.INFO: "note", logging.WARNING: "warning"}


class Lines(logging.Handler):
    """Prints each message on one line, after its label."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one message. A standard error that is full or closed does not end a run."""
        label = LABELS.get(record.levelno, record.levelname.lower())
        with suppress(OSError):
            click.echo(f"{label}: {record.getMessage()}", err=True)


@contextmanager
def shown() -> Iterator[None]:
    """Show notes and warnings while a command runs; then restore the logger."""
    logger = logging.getLogger("rftcore")
    if any(isinstance(handler, Lines) for handler in logger.handlers):  # a command within one
        yield
        return
    handler, level = Lines(), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
