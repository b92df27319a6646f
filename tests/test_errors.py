"""Messages have a limit, whatever they quote, and keep their start and their end."""

import logging
import re

import pytest
from click.testing import CliRunner

from rftcore import cli
from rftcore.cli import logs
from rftcore.datasets.audit.findings import Finding
from rftcore.errors import (
    LINE,
    MESSAGE,
    DataError,
    Fault,
    PluginError,
    RecipeError,
    RftError,
    RunError,
    SampleError,
    UnknownNameError,
    describe,
    limited,
    one_line,
)

HUGE = "9" * 50_000
WHERE, RULE = "rows.csv row 3", "use a number"
TEXT = f"{WHERE}: {HUGE!r}: {RULE}"
MESSAGES = {
    "RftError": lambda: RftError(TEXT),
    "RunError": lambda: RunError(TEXT),
    "DataError": lambda: DataError(f"{HUGE}: {RULE}", origin=WHERE),
    "SampleError": lambda: SampleError(f"{HUGE}: {RULE}", origin=WHERE),
    "PluginError": lambda: PluginError(TEXT, plugin="mine"),
    "UnknownNameError": lambda: UnknownNameError(TEXT, name=HUGE),
    "RecipeError": lambda: RecipeError(TEXT),
    "Fault": lambda: RecipeError(Fault(WHERE, f"{HUGE}: {RULE}", HUGE)),
    "Finding": lambda: Finding("gold", "rows.csv", 3, f"{HUGE}: {RULE}"),
    "describe": lambda: describe(RftError(TEXT)),
    "describe another": lambda: describe(ValueError(f"{WHERE}: {HUGE}: {RULE}")),
    "one_line": lambda: one_line(ValueError(TEXT)),
}


@pytest.mark.parametrize("make", MESSAGES.values(), ids=MESSAGES)
def test_a_message_keeps_its_start_and_its_end_whatever_it_quotes(make):
    message = str(make())

    assert len(message) <= LINE + 100
    assert WHERE in message
    assert message.endswith(RULE)
    assert " ... " in message


def test_lines_and_the_number_of_lines_have_a_limit():
    text = limited("\n".join(["start", HUGE, *["line"] * 50_000, "end"]))

    assert max(map(len, text.splitlines())) <= LINE
    assert len(text) <= MESSAGE
    assert (text[:5], text[-3:]) == ("start", "end")


def test_a_message_within_the_limit_is_as_it_was():
    text = "\n".join(["x" * LINE] * 3)

    assert limited(text) == text
    assert str(RecipeError("a", "b")) == "2 faults in the recipe:\n  a\n  b"


@pytest.mark.parametrize("level", ["info", "warning"])
def test_what_rft_logs_has_the_limit_in_the_terminal(level, capsys):
    with logs.shown():
        getattr(logging.getLogger("rftcore"), level)("%s", TEXT)

    [line] = capsys.readouterr().err.splitlines()
    assert len(line) <= LINE + len("warning: ")
    assert line.endswith(RULE)


@pytest.mark.parametrize(
    "words",
    [[HUGE], ["tasks", "show", HUGE], ["data", "check", "x", "--max-pixels", "x" * 50_000]],
)
def test_what_the_user_types_is_not_repeated_without_a_limit(words):
    done = CliRunner().invoke(cli.main, words)

    assert done.exit_code == 2
    assert max(map(len, done.stderr.splitlines())) <= LINE + 100
    assert re.search("9999|xxxx", done.stderr)
