"""Boxes such as [120, 40, 380, 510], in a stated frame and order."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from rftcore import spelling
from rftcore.boxes import FRAMES, Box
from rftcore.errors import PluginError, closest
from rftcore.parsers.reading import in_tags, parse_error
from rftcore.types import Parsed

_LARGEST = 100_000  # pixels of a side
_DIGITS = 6  # decimal places that are kept, so that x + width reads back as it was
_PER_BOX = 100  # characters
_NUMBER = r"[+-]?\d{1,6}(?:\.\d{0,15})?"
_APART = r"(?:\s*+,\s*+|\s++)"
_FOUR = _APART.join([rf"({_NUMBER})"] * 4)
_BARE = re.compile(rf"\s*+{_FOUR}\s*+", re.ASCII)
_BOX = re.compile(rf"\s*+(?:\[\s*+{_FOUR}\s*+\]|\(\s*+{_FOUR}\s*+\))\s*+", re.ASCII)
_OUTER = re.compile(r"\[\s*+[\[(\]]")
_COMMA = re.compile(r"(?<=\d),(?=\d)", re.ASCII)  # without a space after it
_NEXT = re.compile(r"[,;]?")
_TOKENS = re.compile(
    r"<\|object_ref_start\|>[^<]{0,200}<\|object_ref_end\|>|<\|box_(?:start|end)\|>|</?box>"
)
_CORNERS = re.compile(
    rf"\(\s*+({_NUMBER})\s*+,\s*+({_NUMBER})\s*+\)\s*+,?\s*+"
    rf"\(\s*+({_NUMBER})\s*+,\s*+({_NUMBER})\s*+\)",
    re.ASCII,
)
_KEYS = ("bbox_2d", "bbox")

# Orders of the four numbers, by name: how they are written in a prompt.
ORDERS: Mapping[str, str] = MappingProxyType(
    {
        "xyxy": "[left, top, right, bottom]",
        "yxyx": "[top, left, bottom, right]",
        "xywh": "[left, top, width, height]",
    }
)


@dataclass(frozen=True)
class Boxes:
    """One box such as `[120, 40, 380, 510]`, or up to `most`; the value is a tuple of `Box`.

    `frame` is that of golds and answers alike: `norm1000` (0 to 1000 of the image's width and
    height), `unit` (0 to 1) or `pixels`. `order` is `xyxy`, `yxyx` or `xywh`. A coordinate outside
    the frame, and a box without area or with edges in the wrong order, are parse errors, in golds
    too: usually the frame or the order is another one. With `most` above 1 an answer may have
    several boxes, in any order, or none: `[]`.

    Brackets are square or round, a single box may lack them, boxes may be in an outer pair.
    `forgiving` also reads what models write by themselves: corners `(120, 40), (380, 510)`, box
    tokens, and JSON with `bbox_2d`.
    """

    frame: str = "norm1000"
    order: str = "xyxy"
    most: int = 1
    forgiving: bool = False

    def __post_init__(self) -> None:
        for name, value, known in (("frame", self.frame, FRAMES), ("order", self.order, ORDERS)):
            if value not in known:
                raise PluginError(
                    f"Boxes: {name}={value!r}: use {', '.join(known)}.{closest(value, known)}"
                )
        if not 1 <= self.most <= 100:
            raise PluginError(f"Boxes: most={self.most}: an answer has 1 to 100 boxes at most")

    @property
    def instruction(self) -> str:
        """A sentence for the prompt, which requests what this parser reads."""
        high = FRAMES[self.frame]
        unit = f"{high} of its width and height" if high else "its width and height in pixels"
        what = "one box" if self.most == 1 else f"a list of boxes, at most {self.most}, each"
        return (
            f"Answer with {what} {ORDERS[self.order]}, measured from the upper left corner of the "
            f"image, from 0 to {unit}."
        )

    def parse(self, completion: str) -> Parsed:
        """Read the answer of a whole completion."""
        return in_tags(
            completion, self._any if self.forgiving else self.gold, forgiving=self.forgiving
        )

    def gold(self, text: str) -> Parsed:
        """Read an answer without tags."""
        if len(text) > _PER_BOX * (self.most + 1):
            return parse_error(text, f"too long for {self._many()}")
        plain = spelling.trimmed(text).replace("\u2212", "-")
        found = _listed(plain)
        if found is None:
            pointed = _COMMA.sub(".", plain)
            if _listed(pointed) is not None:
                reason = "it has decimal commas, but commas separate coordinates: write"
                return parse_error(text, f"not {self._many()}: {reason} {pointed}")
            return parse_error(text, f"not {self._many()} such as {self._example()}")
        return self._checked(text, found)

    def show(self, value: Any) -> str:
        """One box in square brackets; with `most` above 1, a list of them."""
        boxes = [f"[{', '.join(map(_digits, self._written(box)))}]" for box in value]
        return boxes[0] if self.most == 1 else f"[{', '.join(boxes)}]"

    def _any(self, text: str) -> Parsed:
        """Read an answer as a model writes it that was not trained here."""
        strict = self.gold(text)
        if strict.ok or len(text) > _PER_BOX * (self.most + 1):
            return strict
        found = _native(text)
        return self._checked(text, found) if found else strict

    def _checked(self, text: str, found: list[tuple[float, ...]]) -> Parsed:
        """The boxes as a value, or the reason why they are none."""
        if len(found) > self.most or (self.most == 1 and not found):
            return parse_error(text, f"a list of {len(found)} boxes, not {self._many()}")
        boxes = []
        for four in found:
            box = self._read(four)
            if not (box.width > 0 and box.height > 0):
                return parse_error(
                    text, f"a box without area, or its order is not {ORDERS[self.order]}"
                )
            high = FRAMES[self.frame] or _LARGEST
            if min(box) < 0 or max(box) > high:
                return parse_error(text, f"outside the frame {self.frame}, 0 to {high}")
            boxes.append(box)
        return Parsed(tuple(sorted(boxes)))

    def _read(self, four: tuple[float, ...]) -> Box:
        a, b, c, d = (round(number, _DIGITS) + 0.0 for number in four)
        if self.order == "yxyx":
            return Box(b, a, d, c)
        if self.order == "xywh":
            return Box(a, b, round(a + c, _DIGITS), round(b + d, _DIGITS))
        return Box(a, b, c, d)

    def _written(self, box: Box) -> tuple[float, float, float, float]:
        left, top, right, bottom = box
        if self.order == "yxyx":
            return top, left, bottom, right
        if self.order == "xywh":
            return left, top, round(right - left, _DIGITS), round(bottom - top, _DIGITS)
        return left, top, right, bottom

    def _many(self) -> str:
        return "one box" if self.most == 1 else f"a list of at most {self.most} boxes"

    def _example(self) -> str:
        high = FRAMES[self.frame] or 1000
        box = Box(*(round(high * share, 2) for share in (0.1, 0.2, 0.5, 0.8)))
        return self.show((box,))


def _listed(text: str) -> list[tuple[float, ...]] | None:
    """The boxes of a text, four numbers each, or None if it contains anything else."""
    bare = _BARE.fullmatch(text)
    if bare:
        return [_four(bare)]
    found, at, end = [], 0, len(text)
    if _OUTER.match(text) and text.endswith("]"):
        at, end = 1, len(text) - 1
    while text[at:end].strip():
        match = _BOX.match(text, at, end)
        if match is None:
            return None
        found.append(_four(match))
        after = _NEXT.match(text, match.end(), end)
        at = after.end() if after else end
    if found and text[:end].rstrip()[-1:] in (",", ";"):
        return None
    return found if found or at else None


def _four(match: re.Match[str]) -> tuple[float, ...]:
    return tuple(float(number) for number in match.groups() if number is not None)


def _native(text: str) -> list[tuple[float, ...]]:
    """The boxes in the own formats of models, or an empty list."""
    text = _TOKENS.sub(" ", text).strip()
    if listed := _listed(text):
        return listed
    corners = [_four(match) for match in _CORNERS.finditer(text)]
    if corners and not _CORNERS.sub("", text).strip(" \n,;"):
        return corners
    try:
        return [*_of_json(json.loads(text))]
    except (ValueError, RecursionError):
        return []


def _of_json(value: object) -> Iterator[tuple[float, ...]]:
    """The boxes of JSON objects. Raises: ValueError for anything else."""
    for item in value if isinstance(value, list) else [value]:
        box = next((item[k] for k in _KEYS if k in item), None) if isinstance(item, dict) else None
        if not (isinstance(box, list) and len(box) == 4 and all(map(_is_coordinate, box))):
            raise ValueError("not boxes")
        yield tuple(map(float, box))


def _is_coordinate(value: object) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and -_LARGEST <= value <= _LARGEST  # type: ignore[operator]


def _digits(number: float) -> str:
    """A coordinate without needless zeros."""
    return f"{number:.{_DIGITS}f}".rstrip("0").rstrip(".")
