"""Standard output of a command that prints JSON: the JSON and nothing else.

A reward, a parser or a library may print, in this process or in one that it starts: with `--json`
that goes to standard error, so that another program can read the output.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from contextvars import ContextVar
from typing import Any, TextIO

import click

_apart: ContextVar[TextIO | None] = ContextVar("apart", default=None)


def json_option(help: str) -> Callable[[Any], Any]:  # noqa: A002  as click's
    """The option `--json` of a command, as its argument `as_json`; with it, `echo` alone prints."""
    return click.option("--json", "as_json", is_flag=True, help=help, callback=_set_apart)


def echo(text: str) -> None:
    """Print what a command has found."""
    click.echo(text, file=_apart.get())


def _set_apart(context: click.Context, _: click.Parameter, chosen: bool) -> bool:
    if chosen and not context.resilient_parsing:
        context.with_resource(_others_to_standard_error())
    return chosen


@contextmanager
def _others_to_standard_error() -> Iterator[None]:
    """Within the block, let only `echo` write to standard output."""
    with _stream() as own:
        token = _apart.set(own)
        try:
            yield
        finally:
            _apart.reset(token)


@contextmanager
def _stream() -> Iterator[TextIO]:
    """Standard output; what else is written to it, by processes too, goes to standard error."""
    own = sys.stdout
    try:
        number, error = own.fileno(), sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):  # none, or one of a test or a notebook
        with redirect_stdout(sys.stderr):
            yield own
        return
    own.flush()
    kept = os.dup(number)
    os.dup2(error, number)
    try:
        with os.fdopen(os.dup(kept), "w", encoding=own.encoding, errors=own.errors) as stream:
            yield stream
    finally:
        with suppress(OSError):
            own.flush()  # what others have written
        os.dup2(kept, number)
        os.close(kept)
