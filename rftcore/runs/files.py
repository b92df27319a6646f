"""Atomic writes of files, and appended lines that a kill cannot split.

A JSON line that a kill has torn is dropped when the next one is written or the file is read.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from rftcore import jsontext
from rftcore.errors import RunError
from rftcore.runs.faults import writing

CHUNK = 1 << 20  # bytes


class Files:
    """The files in a folder.

    writes: whether this process writes them. If not, every method that writes does nothing.
    """

    def __init__(self, path: str | Path, *, writes: bool = True) -> None:
        self.path = Path(path)
        self.writes = writes

    def check_there(self) -> None:
        """Raise if the folder was deleted since it was made, where that can be known."""

    def write_text(self, name: str, text: str) -> Path:
        """Write a file, atomically; `name` may have folders in it.

        Raises `RunError` if it cannot be written; the old file is unchanged then.
        """
        target = self.path / name
        if not self.writes:
            return target
        half = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        self.check_there()
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                with half.open("w", encoding="utf-8", errors="backslashreplace") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                half.replace(target)
            except OSError:
                half.unlink(missing_ok=True)
                raise
        return target

    def read_text(self, name: str) -> str:
        """Read a file. Raises `RunError` if it is missing or is not UTF-8."""
        path = self.path / name
        try:
            return path.read_text(encoding="utf-8")
        except FileNotFoundError as error:
            self.check_there()
            raise RunError(f"run {self.path} has no {name}: that phase has not finished. "
                f"`rft train --resume {self.path}` continues it") from error
        except UnicodeDecodeError as error:
            raise RunError(f"{path} is damaged ({error}): start the run again") from error
        except OSError as error:
            raise RunError(f"{path} cannot be read: {error.strerror or error}") from error

    def write_json(self, name: str, value: object) -> Path:
        """Write a JSON file, atomically."""
        return self.write_text(name, jsontext.dumps(value, indent=2) + "\n")

    def read_json(self, name: str) -> Any:
        """Read a JSON file. Raises `RunError` if it is missing or damaged."""
        text = self.read_text(name)
        try:
            return jsontext.loads(text)
        except ValueError as error:
            path = self.path / name
            raise RunError(f"{path} is damaged ({error}): start the run again") from error

    def update_json(self, name: str, facts: Mapping[str, Any]) -> None:
        """Add facts to a JSON mapping, atomically; a fact that is there is replaced."""
        self.write_json(name, {**self.read_json(name), **facts})

    def append_jsonl(self, name: str, value: object, *, most_bytes: int | None = None) -> None:
        """Add one line; first drop a line that a kill has torn.

        A file that is larger than `most_bytes` already stays as it is. Raises `RunError` if it
        cannot be written.
        """
        if not self.writes:
            return
        path = self.path / name
        self.check_there()
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a+b") as file:
                _drop_torn_line(file)
                if most_bytes is not None and file.seek(0, os.SEEK_END) > most_bytes:
                    return
                file.write(jsontext.line(value).encode())

    def hashes(self, names: Iterable[str]) -> dict[str, list[Any]]:
        """[size in bytes, SHA-256] of files of lines, by name."""
        return {name: _hash_of(self.path / name) for name in names}

    def changed(self, before: Mapping[str, Sequence[Any]]) -> list[str]:
        """The files that do not begin with what they were. before: from `hashes`."""
        return [name for name, was in before.items() if _hash_of(self.path / name, was[0]) != [*was]]

    def read_jsonl(self, name: str) -> list[Any]:
        """All whole lines; [] if there is no such file. Raises `RunError` for a damaged one."""
        path = self.path / name
        if not path.exists():
            return []
        try:
            *lines, _torn = path.read_bytes().split(b"\n")
        except OSError as error:
            raise RunError(f"{path} cannot be read: {error.strerror or error}") from error
        values = []
        for number, line in enumerate(lines, 1):
            try:
                values.append(jsontext.loads(line))
            except ValueError as error:
                raise RunError(f"{path} line {number} is damaged: {error}") from error
        return values

    def keep_jsonl(self, name: str, keep: Callable[[Any], bool]) -> None:
        """Drop lines, atomically: what a resumed run will write a second time."""
        lines = self.read_jsonl(name)
        kept = [value for value in lines if keep(value)]
        if len(kept) < len(lines):
            self.write_text(name, "".join(map(jsontext.line, kept)))


def _hash_of(path: Path, size: int | None = None) -> list[Any]:
    """How many bytes a file has, of `size` at most, and their SHA-256; [0, ...] without a file."""
    digest, left = hashlib.sha256(), size
    if path.is_file():
        with path.open("rb") as file:
            while chunk := file.read(CHUNK if left is None else min(CHUNK, left)):
                digest.update(chunk)
                left = None if left is None else left - len(chunk)
            return [file.tell(), digest.hexdigest()]
    return [0, digest.hexdigest()]


def _drop_torn_line(file: BinaryIO) -> None:
    size = file.seek(0, os.SEEK_END)
    keep = size
    while keep:
        start = max(0, keep - 4096)
        file.seek(start)
        newline = file.read(keep - start).rfind(b"\n")
        if newline >= 0:
            keep = start + newline + 1
            break
        keep = start
    if keep < size:
        file.truncate(keep)
