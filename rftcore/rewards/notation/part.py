"""The result of reading an answer, in a form that JSON can hold."""

from typing import Any

# "kind" is words, value, row, list, set or union; what else is there depends on the kind.
Part = dict[str, Any]


class UnreadableError(Exception):
    """A text cannot be compared as an answer; the message is the reason."""
