"""Turn the text of a completion into an answer, or into the reason why it has none.

Training and evaluation both read answers here, so a reward and a reported
score mean the same thing. Text in, value out: no torch, no files, no logging.
Every parser is total: whatever the text, it returns a `Parsed`.
"""

from collections.abc import Mapping
from types import MappingProxyType

from rftcore.parsers.boxes import Boxes
from rftcore.parsers.calls import Call, Calls
from rftcore.parsers.numbers import Integer, Number
from rftcore.parsers.quantities import Amount, Quantity
from rftcore.parsers.reading import Forgiving, forgiving, in_tags
from rftcore.parsers.texts import Choice, Text
from rftcore.types import ParserFactory

__all__ = [
    "OFFERED",
    "Amount",
    "Boxes",
    "Call",
    "Calls",
    "Choice",
    "Forgiving",
    "Integer",
    "Number",
    "Quantity",
    "Text",
    "forgiving",
    "in_tags",
]

OFFERED: Mapping[str, ParserFactory] = MappingProxyType(
    {
        "boxes": Boxes,
        "choice": Choice,
        "integer": Integer,
        "number": Number,
        "quantity": Quantity,
        "text": Text,
    }
)
