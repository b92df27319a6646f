"""Write a package, or one file, from the templates.

A template is a folder of a plugin named my-task. Only that name is replaced, in paths and texts,
so the templates themselves are linted.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

from rftcore.errors import PluginError

# By template and number of images: the layers of a task, each copied over those before it.
TASKS: Mapping[tuple[str, int], Sequence[str]] = MappingProxyType(
    {
        ("counting", 1): ("task", "sampling", "shapes", "triangles", "counting-1"),
        ("counting", 2): ("task", "sampling", "shapes", "counting-2"),
        ("choice", 1): ("task", "sampling", "choice-1"),
        ("choice", 2): ("task", "sampling", "shapes", "choice-2"),
        ("free-form", 1): ("task", "sampling", "beads", "free-form-1"),
        ("free-form", 2): ("task", "sampling", "beads", "free-form-2"),
    }
)
# The layers of the other kinds.
KINDS: Mapping[str, Sequence[str]] = MappingProxyType(
    {
        "dataset": ("sampling", "shapes", "triangles", "dataset"),
        "parser": ("parser",),
        "reward": ("reward",),
    }
)
DRAWS = ("shapes", "choice-1", "beads")  # layers that need Pillow
# Files whose names would have an effect in this repository.
HIDDEN = MappingProxyType({"gitignore": ".gitignore", "github": ".github"})


@dataclass(frozen=True)
class Project:
    """A plugin to write: its name, which `check_name` accepts, and its layers."""

    name: str
    layers: Sequence[str]

    @property
    def distribution(self) -> str:
        """The name for pip."""
        return f"rft-{self.name}"

    @property
    def module(self) -> str:
        """Its name in Python: of a file, and of a module after "rft_"."""
        return self.name.replace("-", "_")

    def files(self) -> dict[str, str]:
        """Text of every file by its path in the package, with slashes."""
        found: dict[str, str] = {}
        for layer in ("package", *self.layers):
            found |= dict(_texts(_templates() / layer))
        named = {self.named(path): self.named(text) for path, text in found.items()}
        if any(layer in DRAWS for layer in self.layers):
            bare, drawing = 'dependencies = ["rft', 'dependencies = ["pillow>=11", "rft'
            named["pyproject.toml"] = named["pyproject.toml"].replace(bare, drawing)
        return dict(sorted(named.items()))

    def named(self, text: str) -> str:
        """A template's text with this project's name in it."""
        return text.replace("my-task", self.name).replace("my_task", self.module)


def write_package(project: Project, folder: Path) -> list[str]:
    """Make `folder` with the whole package, or nothing; returns the paths of its files.

    Raises: PluginError if there is something at `folder`, or it cannot be made.
    """
    files = project.files()
    with _making(folder), TemporaryDirectory(prefix=".rft-new-", dir=folder.parent) as scratch:
        whole = Path(scratch, "package")
        for path, text in files.items():
            file = whole / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8", newline="\n")
        whole.rename(folder)
    return list(files)


def write_file(project: Project, file: Path) -> None:
    """Write a task in one file, for `--task ./FILE.py:task`.

    Raises: PluginError if there is something at `file`, or it cannot be made.
    """
    [text] = dict(_texts(_templates() / "single")).values()
    with _making(file), file.open("x", encoding="utf-8", newline="\n") as out:
        out.write(project.named(text).replace(f"{project.module}.py", file.name))


@contextmanager
def _making(path: Path) -> Iterator[None]:
    """Make the parent folder; an existing path or a fault of the disk is a `PluginError`."""
    if path.exists() or path.is_symlink():
        raise PluginError(
            f"{path} already exists and is not changed: choose another path with --out"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise PluginError(f"{path}: {error.strerror or error}") from error


def _templates() -> Traversable:
    return resources.files("rftcore.scaffold") / "templates"


def _texts(folder: Traversable, below: str = "") -> Iterator[tuple[str, str]]:
    """Path and text of every file of a layer."""
    for entry in folder.iterdir():
        path = f"{below}{HIDDEN.get(entry.name, entry.name)}"
        if entry.is_file():
            yield path, entry.read_text(encoding="utf-8")
        elif not entry.name.startswith((".", "__")):  # what tools left: .ruff_cache, __pycache__
            yield from _texts(entry, f"{path}/")
