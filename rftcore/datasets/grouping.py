"""Groups of rows that share images, and the split of each group.

Rows that share an image are one group, also through a chain of shared images. All rows of a
group go to one split, so no evaluation split shows an image of training.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Self

from rftcore.errors import DataError
from rftcore.regular_files import content, opened
from rftcore.splits import RL, SFT, TEST, VAL, is_training

File = tuple[Sequence[Sequence[int]], Mapping[int, Path]]  # identities by row, files of images
HEAD = 1 << 12  # bytes: most files of equal size that differ, differ here
FEW, MOST = 20, 0.5  # a group of more than FEW rows and more than MOST of all: an error


def identity(kind: str, *parts: str) -> int:
    """64 bits that identify an image by its path in the folder, or a row by its texts."""
    text = "\0".join((kind, *parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def groups(rows: Iterable[Sequence[int]], same: Iterable[tuple[int, int]] = ()) -> list[int | None]:
    """For each row the smallest identity in its group; None for a row without identities.

    A row has the identities of its images; `same` has pairs of equal images. The result
    does not depend on the order of rows or images.
    """
    rows = list(rows)
    parents: dict[int, int] = {}
    for one, *others in filter(None, rows):
        for other in others:
            _join(parents, one, other)
    for one, other in same:
        _join(parents, one, other)
    return [_root(parents, row[0]) if row else None for row in rows]


def _root(parents: dict[int, int], one: int) -> int:
    while (above := parents.get(one, one)) != one:
        parents[one] = parents.get(above, above)
        one = above
    return one


def _join(parents: dict[int, int], one: int, other: int) -> None:
    one, other = _root(parents, one), _root(parents, other)
    parents[max(one, other)] = min(one, other)


def copies(files: Mapping[int, Path]) -> Iterator[tuple[int, int]]:
    """Pairs of identities whose files have equal bytes. Files that do not exist have none."""
    same: dict[Hashable, list[int]] = {0: list(files)}
    for key in (_size, _head, _whole):
        finer: dict[Hashable, list[int]] = defaultdict(list)
        for known, found in same.items():
            for one in found:
                try:
                    finer[known, key(files[one])].append(one)
                except OSError:  # the data check reports it
                    continue
        same = {known: found for known, found in finer.items() if len(found) > 1}
    for first, *others in same.values():
        yield from ((first, other) for other in others)


def _size(path: Path) -> int:
    return path.stat().st_size


def _head(path: Path) -> bytes:
    with opened(path) as file:
        return hashlib.blake2b(file.read(HEAD), digest_size=16).digest()


def _whole(path: Path) -> bytes:
    return hashlib.blake2b(content(path), digest_size=16).digest()


def grouped(files: Mapping[str, File]) -> dict[str, list[int | None]]:
    """By role, the group of each row, across all files."""
    links = [row for rows, _ in files.values() for row in rows]
    found = iter(groups(links, copies(_images(files))))
    return {role: list(islice(found, len(rows))) for role, (rows, _) in files.items()}


def _images(files: Mapping[str, File]) -> dict[int, Path]:
    return {one: path for _, images in files.values() for one, path in images.items()}


@dataclass(frozen=True)
class Leaks:
    """The images of evaluation rows: identities, of copies the first one."""

    shown: Set[int]
    first: Mapping[int, int]

    @classmethod
    def of(cls, files: Mapping[str, File], measured: Iterable[str]) -> Self:
        """The images of the files with the roles `measured`."""
        first = {other: one for one, other in copies(_images(files))}
        links = (link for role in measured for row in files[role][0] for link in row)
        return cls({first.get(link, link) for link in links}, first)

    def without(self, positions: Sequence[int], links: Sequence[Sequence[int]]) -> list[int]:
        """Those positions whose rows show none of these images."""
        tied = ({self.first.get(link, link) for link in links[at]} for at in positions)
        return [at for at, row in zip(positions, tied, strict=True) if not row & self.shown]


def assign(
    path: Path,
    given: Sequence[str],
    rows: Sequence[int | None],
    teachable: Sequence[bool],
    held_out: Sequence[str] = (VAL, TEST),
) -> list[str]:
    """The split of every row of a file: the one it names, or the one of its group.

    The hash of a group decides: a tenth go to val, a tenth to test, the rest to rl, of which
    half of the rows that are `teachable` go to sft. A group with rows that name a split follows
    them, and none goes to val or test that is not in `held_out`.
    rows: the group of each row, None for a broken row, which has no split.
    Raises: DataError if most rows are one group, so that they cannot be divided.
    """
    free = [group for split, group in zip(given, rows, strict=True) if not split]
    counts = Counter(group for group in free if group is not None)
    named: dict[int, set[str]] = defaultdict(set)
    for split, group in zip(given, rows, strict=True):
        if split and group is not None:
            named[group].add(split)
    for group, count in counts.most_common(1):
        if group not in named and count > FEW and count > MOST * len(free):
            raise DataError(
                f"{count} of {len(free)} rows without a `split` are one group, because "
                "they share images (one image in many rows is enough), and a group goes to one "
                "split. Give every row a `split`",
                origin=str(path),
            )
    return [
        split or ("" if group is None else _split(group, named.get(group, set()), may, held_out))
        for split, group, may in zip(given, rows, teachable, strict=True)
    ]


def _split(group: int, named: set[str], teachable: bool, held_out: Sequence[str]) -> str:
    tenth = group % 10
    if named and not any(map(is_training, named)):
        return min(named)
    if not named and tenth < 2 and (VAL, TEST)[tenth] in held_out:
        return (VAL, TEST)[tenth]
    return SFT if teachable and tenth % 2 == 0 else RL
