"""How an answer is read: names of colors with commas between them."""

from dataclasses import dataclass
from typing import Any

import rftcore as rft

from rft_my_task.pictures import COLORS


@dataclass(frozen=True)
class ColorList:
    """Colors in order, with commas between: "red, blue, red". Case and white space are free.

    The value is a tuple of names. `most` is how many an answer has at most.
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
                return rft.Parsed(error=f"{name[:20]!r} is none of the colors {known}")
        return rft.Parsed(tuple(names))

    def show(self, value: Any) -> str:
        """A value as text that `gold` reads back."""
        return ", ".join(value)
