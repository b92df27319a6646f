"""The parser: names of colors, separated by commas."""

from dataclasses import dataclass
from typing import Any

import rftcore as rft

from rft_my_task.images import COLORS


@dataclass(frozen=True)
class ColorList:
    """Colors in order, separated by commas: "red, blue, red". Case and white space do not matter.

    The value is a tuple of names. `most` is the largest number of colors in an answer.
    """

    most: int = 12

    def parse(self, completion: str) -> rft.Parsed:
        """Read a whole completion: find the answer in its tags, then read that."""
        return rft.parsers.in_tags(completion, self.gold)

    def gold(self, text: str) -> rft.Parsed:
        """Read an answer without tags. Any text gives a value or an error, none raises."""
        names = [name.strip().lower() for name in text.split(",", maxsplit=self.most)]
        if len(names) > self.most:
            return rft.Parsed(error=f"more than {self.most} colors")
        for name in names:
            if name not in COLORS:
                known = ", ".join(COLORS)
                return rft.Parsed(error=f"{name[:20]!r} is not one of the colors {known}")
        return rft.Parsed(tuple(names))

    def show(self, value: Any) -> str:
        """A value as text that `gold` reads back."""
        return ", ".join(value)
