"""Parsers that fail on some text, each on another kind of it: what it is is in the name."""

import json
import re
import sys
from contextlib import suppress
from itertools import count

from parser import Reader  # the file beside this one
from sound_task import task

from rftcore.types import Parsed

CALLS = count()


def reading(read):
    """The sound task, whose parser calls `read` first."""

    class Odd(Reader):
        def gold(self, text):
            read(text)
            return super().gold(text)

    return task(parser=Odd())


def json_nested():
    def read(text):
        with suppress(ValueError):
            json.loads(text)

    return reading(read)


def literal_digits():
    return reading(lambda text: text.isascii() and text.isdigit() and int(text))


def encoded():
    return reading(lambda text: text.encode())


def infinite():
    def read(text):
        with suppress(ValueError):
            int(float(text))

    return reading(read)


def divided():
    def read(text):
        if re.fullmatch(r"\d/\d", text, re.ASCII):
            return int(text[0]) / int(text[2])
        return None

    return reading(read)


def first_word():
    return reading(lambda text: text.split()[0])


def unmatched():
    return reading(lambda text: re.match(r"\s*+\S", text).end())


def unmatched_group():
    return reading(lambda text: re.match(r"\s*+\S", text)[0])


def exhausted():
    def read(text):
        if len(text) > 50_000:
            raise MemoryError

    return reading(read)


def exiting():
    return reading(lambda text: "\x00" in text and sys.exit())


class Silent(Reader):
    def gold(self, text):
        return super().gold(text) if text.strip() else None


def silent():
    return task(parser=Silent())


class Counting(Reader):
    def gold(self, text):
        parsed = super().gold(text)
        return parsed if parsed.ok else Parsed(error=f"fault {next(CALLS)}")


def counting():
    return task(parser=Counting())


class Boxes(Reader):
    """A list of numbers, as grounding tasks read them."""

    def gold(self, text):
        with suppress(ValueError):
            found = json.loads(text)
            if isinstance(found, list) and all(isinstance(one, float) for one in found):
                return Parsed(found)
        return super().gold(text)


def boxes():
    return task(parser=Boxes())
