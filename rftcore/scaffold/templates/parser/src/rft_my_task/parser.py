"""Read a time of day from a completion, or give the reason why there is none."""

import re
from dataclasses import dataclass
from typing import Any

import rftcore as rft

# The bound on white space and digits keeps hostile text from costing time.
_TIME = re.compile(r"\s{0,9}(?P<hours>\d{1,2}):(?P<minutes>\d{2})\s{0,9}", re.ASCII)


@dataclass(frozen=True)
class TimeOfDay:
    """A time on a clock of `hours` hours, such as 7:05 or 19:30.

    The value is the number of minutes since 0:00.
    """

    hours: int = 24

    def __post_init__(self) -> None:
        if self.hours not in (12, 24):
            raise rft.RftError(f"hours={self.hours}: a clock has 12 or 24")

    def parse(self, completion: str) -> rft.Parsed:
        """Read a whole completion: find the answer in its tags, then read that."""
        return rft.parsers.in_tags(completion, self.gold)

    def gold(self, text: str) -> rft.Parsed:
        """Read an answer without tags. Any text gives a value or an error, none raises."""
        match = _TIME.fullmatch(text)
        if match is None:
            return rft.Parsed(error=f"{text[:20]!r} is not a time such as 7:05")
        hours, minutes = int(match["hours"]), int(match["minutes"])
        if hours >= self.hours or minutes >= 60:
            return rft.Parsed(error=f"{text.strip()!r} is not on a clock of {self.hours} hours")
        return rft.Parsed(60 * hours + minutes)

    def show(self, value: Any) -> str:
        """A value as text that `gold` reads back."""
        return f"{value // 60}:{value % 60:02}"
