"""The role of each file of a folder, by the words of its path.

The words of a path below the folder are its runs of letters and digits:
"test_jsons/Visual-Counting-ood-test-1k.json" has test, jsons, visual, counting,
ood, test, 1k, json. They decide, in this order:

1. the task: files that name this task take precedence over files that name none;
   files that name another task of the paper are skipped;
2. the role: `ood` for an out-of-distribution split, named by the words after it up to
   `test` or a number (ood-left; bare: ood-test); `val` or `dev`; `test` or `id`;
   `sft`; `rl`; `train`, or the paper's code of the task (A1, A2, A3).
"""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rftcore.datasets.image_paths import is_outside
from rftcore.errors import DataError
from rftcore.regular_files import links_out
from rftcore.splits import OOD_PREFIX, RL, SFT, STANDARD, TEST, VAL

JSON = {".jsonl": "jsonl", ".json": "jsonl"}
TABLES = {".csv": "csv", ".tsv": "csv", ".parquet": "parquet"}
READERS = {**JSON, **TABLES}  # the dataset that reads one file, by the end of its name
IMAGE_FOLDER = "metadata"  # the name of the table in an image folder of Hugging Face
SHOWN = 5  # names of files in a message
TRAIN = "train"  # the role of a file that sft, rl and val are taken from
ROLES = (TRAIN, *STANDARD)  # options of the dataset; ood is a mapping
PAPER_CODES = ("a1", "a2", "a3")  # of the paper's training files
_WORDS = {
    "ood": ("ood",),
    VAL: (VAL, "valid", "validation", "dev"),
    TEST: (TEST, "id"),
    SFT: (SFT,),
    RL: (RL,),
    TRAIN: (TRAIN, *PAPER_CODES),
}


# Words for tasks in the file names of the paper's data; files that name another task are skipped.
PAPER_NAMES = (*PAPER_CODES, "spatial transformation", "structure perception", "visual counting")
PAPER_WORDS = (
    *("spatial", "transformation", "trance"),
    *("structure", "geomath", "geometry3k"),
    *("counting", "clevr", "superclevr"),
)


@dataclass(frozen=True)
class TaskFiles:
    """The words for a task in file names, and the roles that its data should have."""

    task: str
    names: tuple[str, ...] = ()  # such as "visual counting": they take precedence over `words`
    words: tuple[str, ...] = ()  # looser ones; the task's own name if there are none
    roles: tuple[str, ...] = ()

    def rank(self, words: Sequence[str]) -> int:
        """2: one of `names`; 1: one of `words`; 0: no task is named; -1: another task is."""
        text = f" {' '.join(words)} "
        levels = (self.names, PAPER_NAMES), (self.words or (self.task,), PAPER_WORDS)
        for rank, (own, every) in zip((2, 1), levels, strict=True):
            if any(_is_in(text, name) for name in own):
                return rank
            if any(_is_in(text, name) for name in every):
                return -1
        return 0


def _is_in(text: str, name: str) -> bool:
    return bool(words := words_of(Path(name))) and f" {' '.join(words)} " in text


@dataclass(frozen=True)
class Layout:
    """A file per role ("train", "test", "ood-left", ...), unused files and missing roles."""

    files: Mapping[str, Path]
    unused: tuple[Path, ...] = ()
    missing: tuple[str, ...] = ()


def find(folder: Path, own: TaskFiles, given: Mapping[str, str]) -> Layout:
    """The files of a task. `given` has some by role, relative to the folder.

    Raises: DataError if the folder or a given file does not exist, if two files
    have one role, or if no file has any.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    seen = sorted(_files(folder, JSON))
    files = {role: _given(folder, role, name) for role, name in given.items()}
    candidates: dict[str, list[Path]] = {}
    for path in _ours(folder, seen, own):
        role = role_of(words_of(path.relative_to(folder)))
        if role and role not in files and path not in files.values():
            candidates.setdefault(role, []).append(path)
    for role, paths in candidates.items():
        files[role] = _only(folder, own.task, role, paths)
    if not files:
        raise DataError(_nothing(folder, own.task, seen))
    used = set(files.values())
    return Layout(
        dict(sorted(files.items(), key=_order)),
        tuple(path for path in seen if path not in used),
        tuple(role for role in own.roles if role not in files),
    )


def words_of(path: Path) -> list[str]:
    """The runs of letters and digits of a relative path, in lower case."""
    return re.findall(r"[a-z0-9]+", path.as_posix().lower())


def role_of(words: Sequence[str]) -> str | None:
    """The role that a path names, or None."""
    for role, known in _WORDS.items():
        if any(word in known for word in words):
            return _ood(words) if role == "ood" else role
    return None


def _ood(words: Sequence[str]) -> str:
    behind = list(words[len(words) - words[::-1].index("ood") :])
    kind = []
    for word in behind:
        if word in ("test", "json", "jsonl") or word[0].isdigit():
            break
        kind.append(word)
    return "-".join(("ood", *kind)) if kind else "ood-test"


def _order(item: tuple[str, Path]) -> tuple[int, str]:
    role = item[0]
    return (ROLES.index(role) if role in ROLES else len(ROLES), role)


def _files(folder: Path, suffixes: Iterable[str] = ("",)) -> Iterator[Path]:
    """Every file outside `images` and hidden folders whose name ends in one of the suffixes."""
    ends = tuple(suffixes)
    for at, folders, names in os.walk(folder):
        folders[:] = [f for f in folders if f != "images" and not f.startswith(".")]
        yield from (Path(at) / n for n in names if n.lower().endswith(ends) and n[0] != ".")


def _ours(folder: Path, paths: Sequence[Path], own: TaskFiles) -> list[Path]:
    """For each role the files with the highest rank; none of another task."""
    ranks = {path: own.rank(words_of(path.relative_to(folder))) for path in paths}
    named = [path for path, rank in ranks.items() if rank > 0]
    if not named:
        return [path for path, rank in ranks.items() if rank == 0]
    roles = {path: role_of(words_of(path.relative_to(folder))) for path in named}
    best = {role: max(ranks[p] for p in named if roles[p] == role) for role in roles.values()}
    return [path for path in named if ranks[path] == best[roles[path]]]


def _given(folder: Path, role: str, name: str) -> Path:
    path = folder / name
    if is_outside(name) or links_out(path, folder):
        raise DataError(f"{role}={name!r} is outside {folder}: use a path inside it, without ..")
    if not path.is_file():
        raise DataError(f"{role}={name!r}: no such file in {folder}")
    return path


def _only(folder: Path, task: str, role: str, paths: Sequence[Path]) -> Path:
    if len(paths) > 1:
        names = ", ".join(path.relative_to(folder).as_posix() for path in paths)
        option = f"ood.{role.removeprefix(OOD_PREFIX)}" if role not in ROLES else role
        raise DataError(
            f"{folder}: several files could be {role} of task {task!r}: {names}. "
            f"Choose one: --set dataset.{option}=FILE"
        )
    if links_out(paths[0], folder):
        raise DataError(f"{paths[0]} is a link out of {folder}: put the file itself there")
    return paths[0]


def _nothing(folder: Path, task: str, seen: Sequence[Path]) -> str:
    """Why a folder has no data, what it has instead, and how that is read."""
    tables = [*sorted(_files(folder, TABLES)), *(p for p in seen if p.stem == IMAGE_FOLDER)]
    if seen:
        other = f", or {_as_tables(tables)}" if tables else ""
        return (
            f"{folder} has no data of task {task!r}: no JSON file has train, val, test or ood in "
            f"its name. JSON files found: {_listed(folder, seen)}. Choose one with --set "
            f"dataset.train=FILE{other}"
        )
    if tables:
        found, read = _listed(folder, tables), _as_tables(tables)
        return f"{folder} has no JSON file, but tables: {found}. {read[0].upper()}{read[1:]}"
    kinds = Counter(path.suffix.lower() or path.name for path in _files(folder))
    found = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(SHOWN))
    return (
        f"{folder} has no JSON file; outside folders named images it has {found or 'no files'}. "
        "Write questions and answers to train.json in it, or to a CSV file"
    )


def _listed(folder: Path, paths: Sequence[Path]) -> str:
    names = [path.relative_to(folder).as_posix() for path in paths]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}"


def _as_tables(tables: Sequence[Path]) -> str:
    """How the tables of a folder are read; the folder alone does not decide it."""
    if any(path.stem == IMAGE_FOLDER for path in tables):
        return "read it as an image folder of Hugging Face with --set dataset.use=hf"
    if len(tables) == 1:
        return f"give the file in place of the folder, {tables[0]}"
    return (
        f"give one file in place of the folder, such as {tables[0]}, or read all of them as one "
        "dataset with --set dataset.use=hf"
    )
