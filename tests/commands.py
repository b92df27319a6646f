"""`rft` in the process of the tests."""

from click.testing import CliRunner, Result

from rftcore import cli


def rft(*arguments: object) -> Result:
    """`rft ARGUMENTS`: exit code, output and exception."""
    return CliRunner().invoke(cli.main, [str(argument) for argument in arguments])


def exit_code(*arguments: object) -> int | str | None:
    """The exit code of `rft ARGUMENTS`, whose output is that of the test."""
    try:
        cli.main([*map(str, arguments)], standalone_mode=False)
    except SystemExit as left:
        return left.code
    return 0
