"""Images at the model's size beside what is known of them: two files that training maps.

FOLDER/pixels.npy   (N, IMAGE_SIZE, IMAGE_SIZE, 3) bytes
FOLDER/facts.jsonl  one fact per line; how many images it is about is its own affair
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
from rft_nano.model import IMAGE_SIZE

from rftcore.images.decoding import decode

if TYPE_CHECKING:
    from numpy.typing import NDArray

Fact = TypeVar("Fact")


@dataclass
class Corpus(Generic[Fact]):
    """Images, and facts about them."""

    pixels: NDArray[np.uint8]
    facts: list[Fact]

    def save(self, folder: Path) -> None:
        """Write both files; the facts last, so that their presence says all is there."""
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "pixels.npy", self.pixels)
        lines = (json.dumps(asdict(fact)) + "\n" for fact in self.facts)  # type: ignore[call-overload]
        (folder / "facts.jsonl").write_text("".join(lines))

    @classmethod
    def load(cls, folder: Path, read: Callable[[Any], Fact]) -> Corpus[Fact]:
        """What `save` wrote; `read` makes a fact of plain data. The pixels stay on disk."""
        lines = (folder / "facts.jsonl").read_text().splitlines()
        pixels = np.load(folder / "pixels.npy", mmap_mode="r")
        return cls(pixels, [read(json.loads(line)) for line in lines])


def is_saved(folder: Path, facts: int) -> bool:
    """Whether `save` has finished, with so many facts."""
    file = folder / "facts.jsonl"
    return file.exists() and len(file.read_text().splitlines()) == facts


def read_pictures(paths: Iterable[Path]) -> NDArray[np.uint8]:
    """Images at the model's size, resized as `nano`'s processor does."""
    return np.stack([_read(path) for path in paths])


def _read(path: Path) -> NDArray[np.uint8]:
    from PIL import Image

    picture = decode(path.read_bytes()).image
    small = picture.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BICUBIC)
    return np.asarray(small, dtype=np.uint8)


def to_model(pixels: NDArray[Any]) -> NDArray[np.float32]:
    """Bytes (H, W, 3) to the tower's input (3, H, W), as the processor does: x / 127.5 - 1."""
    return np.ascontiguousarray(pixels.transpose(2, 0, 1), dtype=np.float32) / 127.5 - 1
