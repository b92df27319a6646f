"""One exception per thing a user can fix; any other exception is a bug of rft.

The command line prints an `RftError` as one message without a traceback and
exits with code 2. Every message gives the value, the rule and the next step.
"""

import difflib
import importlib
import os
import textwrap
import traceback
from collections.abc import Iterable
from pathlib import Path

# Frames of a traceback that are between the core and a plugin's code.
OURS = (
    "<frozen",
    f"{Path(__file__).parent}{os.sep}",
    f"{Path(importlib.__file__).parent}{os.sep}",
)
_TESTER = f"{os.sep}hypothesis{os.sep}"  # calls plugins for the laws


class RftError(Exception):
    """Something the user can fix."""


class RecipeError(RftError):
    """A setting is unknown, of the wrong type or out of range."""


class PluginError(RftError):
    """A plugin could not be found, loaded or called."""


class UnknownNameError(PluginError):
    """Nobody offers a component of this name, or more than one does."""


class DataError(RftError):
    """A dataset cannot be read, or breaks the rules of splits."""


class SampleError(DataError):
    """One sample is wrong: its image, its gold answer or its text."""


class RewardError(RftError):
    """A reward function failed, or too many did."""


class ModelError(RftError):
    """A model or processor cannot be loaded, or does not fit the task."""


class TrainerError(RftError):
    """Training cannot start or go on: the installed TRL, or values that are not finite."""


class VisionError(ModelError):
    """The model's output does not depend on the image."""


class CacheError(RftError):
    """The cache folder, or a picture's file in it, cannot be read or written."""


class RunError(RftError):
    """A run folder is in use, missing, or does not fit the request."""


def closest(name: str, offered: Iterable[str]) -> str:
    """Say which offered names look like `name`: " Did you mean 'a'?", or "" if none does."""
    matches = difflib.get_close_matches(name, list(offered), n=3, cutoff=0.5)
    if not matches:
        return ""
    return f" Did you mean {' or '.join(repr(match) for match in matches)}?"


def one_line(error: BaseException, most: int = 400) -> str:
    """An exception in one line: its message with the line breaks taken out, or its type."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= most else f"{text[:most].rstrip()} ..."


def describe(error: BaseException) -> str:
    """Kind and message of an error on one line, and the line of the plugin's that led to it."""
    text = textwrap.shorten(str(error), 300)
    if isinstance(error, RftError):
        return text
    at = place(error)
    named = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return f"{named} ({at})" if at else named


def place(error: BaseException) -> str:
    """File and line where the plugin's own code was last, "" if it was not at work.

    Its own code is that of the folder whose code we called first.
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
