"""One exception per thing a user can fix; any other exception is a bug of rft.

The command line prints an `RftError` as one message without a traceback and exits with code 2.
A message contains what was found, where, what is allowed and what to do. The same facts are
fields, so that a program, or rft itself, need not read the message.
"""

import difflib
import importlib
import os
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Frames of a traceback that are between the core and a plugin's code.
OURS = (
    "<frozen",
    f"{Path(__file__).parent}{os.sep}",
    f"{Path(importlib.__file__).parent}{os.sep}",
)
_TESTER = f"{os.sep}hypothesis{os.sep}"  # calls plugins for the laws
# Characters of a line of a message, and of all its lines: a value that it quotes may have millions.
LINE, MESSAGE = 1_500, 20_000


class RftError(Exception):
    """Something the user can fix. Its message is `limited`, whatever it quotes."""

    def __str__(self) -> str:
        return limited(self._text())

    def _text(self) -> str:
        return super().__str__()

    @property
    def headline(self) -> str:
        """The first line of the message."""
        return str(self).partition("\n")[0]


@dataclass(frozen=True)
class Fault:
    """One wrong setting: "sft.batch_size = 0 (--set sft.batch_size): use 1 or more".

    setting: its dotted name. value: what it is set to; `...` if it has none. origin: where the
    value comes from, such as "recipe.yaml line 7". rule: what is allowed, and what to do.
    suggestions: names that were probably meant.
    """

    setting: str
    rule: str
    value: Any = ...
    origin: str = ""
    suggestions: tuple[str, ...] = ()

    def __str__(self) -> str:
        value = "" if self.value is ... else f" = {self.value!r:.200}"
        origin = f" ({self.origin})" if self.origin else ""
        return f"{self.setting}{value}{origin}: {self.rule}{did_you_mean(self.suggestions)}"


class RecipeError(RftError):
    """Settings are unknown, of the wrong type or out of range; `faults` has each one.

    Raised with faults, or with a text where no single setting is at fault, as in a file that
    cannot be read.
    """

    def __init__(self, *faults: Fault | str) -> None:
        super().__init__(*faults)

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The wrong settings, each with value, origin and rule."""
        return tuple(fault for fault in self.args if isinstance(fault, Fault))

    def _text(self) -> str:
        if len(self.args) == 1:
            return str(self.args[0])
        head = f"{len(self.args)} faults in the recipe:"
        return "\n".join((head, *(f"  {fault}" for fault in self.args)))


class PluginError(RftError):
    """A plugin could not be found, loaded or called; `plugin` is its distribution, if known."""

    def __init__(self, message: str, *, plugin: str = "") -> None:
        super().__init__(message)
        self.plugin = plugin


class UnknownNameError(PluginError):
    """No component has this name, or several have it.

    kind, name: what was looked up. origin: where the name comes from. suggestions: names that
    were probably meant. offered: the names of that kind; if several components share the name,
    their qualified names.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: str = "",
        name: str = "",
        origin: str = "",
        suggestions: Sequence[str] = (),
        offered: Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.kind, self.name, self.origin = kind, name, origin
        self.suggestions, self.offered = tuple(suggestions), tuple(offered)


class DataError(RftError):
    """A dataset cannot be read, or breaks the rules of splits.

    reason: the message without `origin`, the file and row.
    """

    def __init__(self, message: str, *, origin: str = "") -> None:
        super().__init__(message)
        self.reason, self.origin = message, origin

    def _text(self) -> str:
        return f"{self.origin}: {self.reason}" if self.origin else self.reason


class SampleError(DataError):
    """One sample is wrong: its image, its gold answer or its text."""


class RewardError(RftError):
    """A reward function failed, or too many calls did."""


class ModelError(RftError):
    """A model or processor cannot be loaded, or does not fit the task."""


class TrainerError(RftError):
    """Training cannot start or continue: the installed TRL, or values that are not finite."""


class VisionError(ModelError):
    """The model's output does not depend on the image."""


class CacheError(RftError):
    """The cache folder, or an image file in it, cannot be read or written."""


class HubError(RftError):
    """The hub cannot be reached, rejects what is uploaded, or the upload was not confirmed."""


class RunError(RftError):
    """A run folder is in use, missing, or does not fit the request."""


class Interrupt(BaseException):
    """Ends what runs, whose code it may be: a stop or a deadline, no fault of that code.

    Not an `Exception`, so that the code does not catch it. A Rust library's panic is none
    either, and is a fault.
    """


@contextmanager
def path_faults(what: str, kind: type[RftError]) -> Iterator[None]:
    """Name what a path stands for if the path itself is what the disk rejects.

    A name can be too long, and a folder above it closed to this user.
    Raises: `kind`, with `what` and the reason.
    """
    try:
        yield
    except OSError as error:
        raise kind(f"{what}: {error.strerror or error}") from error


def similar(name: str, offered: Iterable[str], *, most: int = 3) -> tuple[str, ...]:
    """The offered names that look like `name`, the most similar first."""
    return tuple(difflib.get_close_matches(name, list(offered), n=most, cutoff=0.5))


def did_you_mean(suggestions: Sequence[str]) -> str:
    """The suggestions as a sentence to append: " Did you mean 'a'?", or ""."""
    if not suggestions:
        return ""
    return f" Did you mean {' or '.join(map(repr, suggestions))}?"


def closest(name: str, offered: Iterable[str]) -> str:
    """The offered names that look like `name` as a sentence to append, or ""."""
    return did_you_mean(similar(name, offered))


def limited(message: str) -> str:
    """A message without the middle of what is too long: a line, or all of them."""
    if len(message) <= LINE:
        return message
    return _cut("\n".join(_cut(line, LINE) for line in message.split("\n")), MESSAGE)


def _cut(text: str, most: int) -> str:
    """A text of at most `most` characters: its start, which says what and where, and its end."""
    if len(text) <= most:
        return text
    end = most // 3
    return f"{text[: most - end - 5].rstrip()} ... {text[-end:].lstrip()}"


def one_line(error: BaseException, most: int = 400) -> str:
    """An exception's message of at most `most` characters, in one line; its type if it is empty."""
    return in_short(error, most) or type(error).__name__


def in_short(error: BaseException, most: int = 300) -> str:
    """An exception's message of at most `most` characters, in one line; "" if it is empty."""
    return _cut(" ".join(text_of(error).split()), most)


def text_of(error: BaseException) -> str:
    """The message of an exception, "" if the class of a plugin cannot give it."""
    try:
        return str(error)
    except Exception:
        return ""


def describe(error: BaseException) -> str:
    """An exception on one line: its type, message and the line of the plugin that raised it."""
    text = in_short(error)
    if isinstance(error, RftError):
        return text
    at = place(error)
    named = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return f"{named} ({at})" if at else named


def place(error: BaseException) -> str:
    """File and line where an exception left the plugin's own code, "" if none was running.

    Its own code is the folder of the first file that is not rft's.
    """
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [f for f in frames if not f.filename.startswith(OURS) and _TESTER not in f.filename]
    if not theirs:
        return ""
    first = theirs[0].filename  # "<string>" and the like are in no folder
    folder = f"{Path(first).parent}{os.sep}"
    own = [f for f in theirs if f.filename == first or f.filename.startswith(folder)]
    last = own[-1]
    return f"{last.filename} line {last.lineno}"
