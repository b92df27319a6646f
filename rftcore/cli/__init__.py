"""The command `rft`: one file per command, imported when it is called.

The group turns an `RftError`, a fault of the disk or an exception in a plugin into one message
and exit code 2; RFT_DEBUG=1 shows the traceback instead. Any other exception is a bug of rft
and keeps its traceback.
"""

import codecs
import errno
import io
import json
import os
import sys
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from rftcore.distributed import (
    first_to_report,
    is_main,
    leave_with_launcher,
    rank,
    world_size,
)
from rftcore.errors import Interrupt, RftError, closest, limited

COMMANDS = {
    "compare": "rftcore.cli.compare:compare",
    "data": "rftcore.cli.data:data",
    "doctor": "rftcore.cli.doctor:doctor",
    "eval": "rftcore.cli.evaluate:evaluate",
    "new": "rftcore.cli.new:new",
    "plan": "rftcore.cli.plan:plan",
    "plugins": "rftcore.cli.plugins:plugins",
    "push": "rftcore.cli.push:push",
    "replay": "rftcore.cli.replay:replay",
    "report": "rftcore.cli.report:report",
    "score": "rftcore.cli.score:score",
    "tasks": "rftcore.cli.tasks:tasks",
    "train": "rftcore.cli.train:train",
}
NO_ROOM = 2**20  # bytes
ESCAPES = "rft-escapes"  # an error handler of codecs
INTERRUPTED = 130  # what a shell reports for Ctrl-C


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """Characters that a stream cannot encode, as the escapes of JSON: --json stays JSON."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


codecs.register_error(ESCAPES, _escaped)


class Commands(click.Group):
    """The core's commands, and those of plugins, which cannot replace the core's.

    `--help` loads no plugin, so none can break it or slow it down; plugins load for a command
    that the core does not have.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names that `rft --help` shows."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import a command."""
        if name not in COMMANDS:
            return _plugin_commands().get(name)
        module, _, attribute = COMMANDS[name].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; for an unknown one, suggest similar names."""
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            names = [*COMMANDS, *_plugin_commands()]
            ctx.fail(f"no command {name!r}.{closest(name, names)} `rft --help` lists them.")
        return super().resolve_command(ctx, args)

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command; turn errors that a user can fix into one message."""
        _open_streams()
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):  # for text that the terminal cannot encode
                stream.reconfigure(errors=ESCAPES)
        try:
            return super().main(*args, **kwargs)
        except SystemExit as end:
            message = _ended_by_plugin(end)
            if not message or os.environ.get("RFT_DEBUG"):
                raise
            click.echo(f"error: {limited(message)}", err=True)
            sys.exit(2)
        except (KeyboardInterrupt, Interrupt):
            raise
        except BaseException as error:
            message = _message(error)
            if not first_to_report(
                failed=True
            ):  # another process has, and this error is the same or follows
                sys.exit(2 if message else 1)
            if not message or os.environ.get("RFT_DEBUG"):
                raise
            notes = map(limited, getattr(error, "__notes__", ()))
            lines = (f"error{_on_rank()}: {limited(message)}", *notes)
            click.echo("\n".join(lines), err=True)
            sys.exit(2)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command and show what it logs; Ctrl-C ends with the shell's own exit code."""
        from rftcore.cli import logs  # not for --help

        leave_with_launcher()
        try:
            try:
                with logs.shown():
                    return super().invoke(ctx)
            finally:
                _flush()
        except click.UsageError as error:
            raise click.UsageError(limited(error.format_message()), error.ctx) from error
        except KeyboardInterrupt:
            if first_to_report():
                click.echo("interrupted", err=True)
            sys.exit(INTERRUPTED)


def _open_streams() -> None:
    """Replace standard streams that the caller has closed, as `>&-` does, with empty ones.

    Otherwise the next file that is opened takes their number and receives what is printed.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115


def _on_rank() -> str:
    """ " on rank 3 of 8" in a process that is not rank 0."""
    try:
        return "" if is_main() else f" on rank {rank()} of {world_size()}"
    except RftError:  # the variables themselves are the fault
        return ""


def _message(error: BaseException) -> str:
    """An exception as one message for the user; "" for a bug of rft."""
    if isinstance(error, RftError):
        return str(error)
    if isinstance(error, OSError):
        return _disk_fault(error)
    from rftcore.plugins.guard import blame
    from rftcore.plugins.points import unreadable

    return unreadable(error) or blame(error)


def _ended_by_plugin(end: SystemExit) -> str:
    """The message if a plugin called exit() within a command of the core, else ""."""
    import traceback

    from rftcore.errors import OURS
    from rftcore.plugins.guard import blame

    files = [frame.filename for frame in traceback.extract_tb(end.__traceback__)]
    ours = any(file.startswith(OURS[1]) and file != __file__ for file in files)
    return blame(end) if ours else ""


def _disk_fault(error: OSError) -> str:
    """The message for a disk fault: path and reason, or the folders without free space."""
    from rftcore.cache import hint
    from rftcore.errors import describe

    reason = error.strerror or str(error) or type(error).__name__
    if isinstance(error.filename, str | bytes) and error.filename:
        path = os.fsdecode(error.filename)
        return f"{path}: {reason}{hint(path)}"
    if _is_output(error):
        return f"standard output: {reason}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT) and (full := _full()):
        return f"{reason}: {'; '.join(full)}"
    return f"{reason} ({describe(error)}); RFT_DEBUG=1 shows where"


def _is_output(error: OSError) -> bool:
    """Whether standard output failed; if so, nothing more is written to it."""
    import traceback

    if traceback.extract_tb(error.__traceback__)[-1].name not in ("echo", "_flush"):
        return False
    with suppress(OSError, ValueError):  # or Python would report it again at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return True


def _flush() -> None:
    """Flush standard output while a fault of the disk can still be reported."""
    sys.stdout.flush()


def _full() -> list[str]:
    """The folders that rft writes to and that have no free space."""
    import shutil
    import tempfile

    from rftcore.cache import VARIABLE, cache_folder

    found = []
    with suppress(OSError):  # the working folder may have been deleted
        places = {
            "the working folder": Path.cwd(),
            f"the cache folder ({VARIABLE})": cache_folder(),
            "the folder for temporary files (TMPDIR)": Path(tempfile.gettempdir()),
        }
        for name, folder in places.items():
            if folder.exists() and shutil.disk_usage(folder).free < NO_ROOM:
                found.append(f"{name}, {folder}, has no room")
    return found


@cache
def _plugin_commands() -> dict[str, click.Command]:
    from rftcore.plugins import Catalogue

    return Catalogue.load().commands()


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Plugins can add commands: `rft plugins list` shows them.",
)
@click.version_option(package_name="rftcore", prog_name="rft")
def main() -> None:
    """Train vision-language models to reason about images.

    \b
    Example:
      rft tasks list
      rft train --task counting
    """
