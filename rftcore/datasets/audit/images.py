"""Every image file of a check, read once: the hash of its pixels, or its fault."""

import io
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from rftcore.datasets.files import Row
from rftcore.datasets.image_paths import similar_hint
from rftcore.images.decoding import TooLargeError
from rftcore.images.other_files import what_else
from rftcore.images.pixels import PixelCache
from rftcore.images.threads import Job
from rftcore.regular_files import content

MISSING = "missing image"
Shown = tuple[str, tuple[str, str] | None]  # the hash of an image's pixels, and its fault
Read = tuple[Path, Shown]


class ImageFiles:
    """The pixel hash, or the fault, of every image file: each file is read once."""

    def __init__(self, max_pixels: int, known: PixelCache) -> None:
        self._max, self._known = max_pixels, known
        self._begun: set[Path] = set()
        self._found: dict[Path, Shown] = {}

    def jobs(self, row: Row) -> list[Job[Read]]:
        """The jobs of a row: reading the images that are new in it, unless the row has faults."""
        if row.faults:
            return []
        new = [path for path in dict.fromkeys(row.images) if path not in self._begun]
        self._begun.update(new)
        return [partial(self._inspect, path) for path in new]

    def __len__(self) -> int:
        return len(self._found)

    def of(self, row: Row, shown: Iterable[Job[Read]]) -> list[Shown]:
        """The images of a row; `shown` has the results of its jobs."""
        self._found.update(job() for job in shown)
        return [self._found[path] for path in row.images]

    def _inspect(self, path: Path) -> Read:
        from PIL import Image as pil
        from PIL import UnidentifiedImageError

        def fault(kind: str, text: str) -> Read:
            return path, ("", (kind, text))

        try:
            data = content(path)
        except OSError as error:
            return fault(MISSING, error.strerror or str(error))
        try:
            with pil.open(io.BytesIO(data)) as image:
                width, height = image.size
                if width * height > self._max:
                    most = f"more than {self._max} pixels (--max-pixels)"
                    return fault("image too large", f"{width} x {height} is {most}")
                image.verify()  # checksums, which decoding ignores
            seen = self._known.pixels(data)
        except (pil.DecompressionBombError, TooLargeError) as error:
            return fault("image too large", str(error))
        except UnidentifiedImageError:
            return fault("corrupt image", what_else(data))
        except Exception as error:  # decoders raise almost anything for damaged data
            return fault("corrupt image", str(error) or type(error).__name__)
        return path, (seen.hash, next(iter(seen.remarks), None))


def elsewhere(folder: Path, path: Path) -> str:
    """A hint if a missing image exists under a similar name, or is still in an archive; else ""."""
    if hint := similar_hint(path.relative_to(folder).as_posix(), folder):
        return hint
    packed = sorted(folder.glob("*.zip"))
    return f". {packed[0].name} exists: unpack it" if packed else ""
