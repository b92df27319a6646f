"""The command `rft`: one thin file a command, imported when it is called.

The group turns an `RftError` into one message and exit code 2, once, for all
commands; RFT_DEBUG=1 shows the traceback instead.
"""

import io
import os
import sys
from functools import cache
from importlib import import_module
from typing import Any

import click

from rftcore.errors import RftError, closest

COMMANDS = {
    "data": "rftcore.cli.data:data",
    "eval": "rftcore.cli.evaluate:evaluate",
    "new": "rftcore.cli.new:new",
    "plugins": "rftcore.cli.plugins:plugins",
    "replay": "rftcore.cli.replay:replay",
    "score": "rftcore.cli.score:score",
    "tasks": "rftcore.cli.tasks:tasks",
    "train": "rftcore.cli.train:train",
}
INTERRUPTED = 130  # what a shell reports for Ctrl-C


class Commands(click.Group):
    """The core's commands, then those of plugins, which can replace none of them.

    `--help` loads no plugin, so that none can break it or slow it down;
    plugins load when somebody asks for a command that the core does not have.
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
        """Find the command, or say which one was meant."""
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            names = [*COMMANDS, *_plugin_commands()]
            ctx.fail(f"no command {name!r}.{closest(name, names)} `rft --help` lists them.")
        return super().resolve_command(ctx, args)

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run, and turn what a user can fix into one message."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):  # text of models and data may not encode
                stream.reconfigure(errors="backslashreplace")
        try:
            return super().main(*args, **kwargs)
        except RftError as error:
            if os.environ.get("RFT_DEBUG"):
                raise
            click.echo("\n".join((f"error: {error}", *getattr(error, "__notes__", ()))), err=True)
            sys.exit(2)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; Ctrl-C ends with the shell's own exit code."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            sys.exit(INTERRUPTED)


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
