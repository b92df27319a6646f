"""Show what rft logs as lines on standard error: "warning: ..." and "note: ...".

As a library rft installs no handler and no level: Python prints warnings and drops notes,
unless the program configures the logger `rftcore`.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import click

from rftcore.errors import limited

TOO_LARGE = r"Image size .* exceeds limit"  # Pillow warns of an image that is an error of rft
LABELS = {logging.INFO: "note", logging.WARNING: "warning"}


class Lines(logging.Handler):
    """Prints each message on one line, after its label."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one message. A standard error that is full or closed does not end a run."""
        label = LABELS.get(record.levelno, record.levelname.lower())
        with suppress(OSError):
            click.echo(f"{label}: {limited(record.getMessage())}", err=True)


@contextmanager
def shown() -> Iterator[None]:
    """Show notes and warnings while a command runs; then restore the logger.

    An image that is too large is an error, so Pillow's warning of it is left out.
    """
    logger = logging.getLogger("rftcore")
    if any(isinstance(handler, Lines) for handler in logger.handlers):  # a command within one
        yield
        return
    handler, level = Lines(), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", TOO_LARGE, RuntimeWarning)
            yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
