"""Entry points of installed plugins, read distribution by distribution.

`importlib.metadata.entry_points` raises for all if one distribution has a file that it cannot
read.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from rftcore.errors import describe
from rftcore.plugins.offers import CORE, GROUP, Failure, Plugin

if TYPE_CHECKING:
    from packaging.requirements import Requirement

_REFERENCE = re.compile(r"([\w.]+)\s*(:\s*[\w.]+)?\s*(\[.*\])?\s*")
_SECTION = re.compile(rf"^[\xfe\xff\s]*\[\s*{GROUP}\s*\]", re.MULTILINE)


def canonical(name: str) -> str:
    """The normalized name of a distribution (PEP 503): `My_Tasks` becomes `my-tasks`."""
    return re.sub(r"[-_.]+", "-", name).lower()


def found(
    dists: Iterable[metadata.Distribution] | None = None,
) -> tuple[list[metadata.EntryPoint], list[Failure]]:
    """The entry points in the group `rft`, and the distributions whose file cannot be read."""
    points: list[metadata.EntryPoint] = []
    failures: dict[Plugin, Failure] = {}  # a distribution may be found twice, by two finders
    for dist in metadata.distributions() if dists is None else dists:
        try:
            points += points_of(dist)
        except Exception as error:
            name, version = named(dist)
            plugin = Plugin(name, name, version)
            failures.setdefault(plugin, Failure(plugin, fault_of_file(error)))
    return points, [*failures.values()]


def points_of(dist: metadata.Distribution) -> list[metadata.EntryPoint]:
    """The entry points of a distribution in the group `rft`.

    Raises: whatever importlib.metadata raises for a file that it cannot read, if the group is in
    it.
    """
    try:
        return [point for point in dist.entry_points if point.group == GROUP]
    except Exception:
        if _SECTION.search(content(dist, "entry_points.txt")):
            raise
        return []


def content(dist: metadata.Distribution, file: str) -> str:
    """A file of a distribution's metadata, whatever its encoding; "" if there is none."""
    try:
        return dist.read_text(file) or ""
    except UnicodeDecodeError as error:
        return error.object.decode("latin-1").replace("\0", "")  # of UTF-16
    except Exception:
        return ""


def named(dist: metadata.Distribution) -> tuple[str, str]:
    """Name and version of a distribution: of its metadata, else of the folder of that, else "?"."""
    name, version = _stated(dist, "name"), _stated(dist, "version")
    if not (name and version):
        folder = _folder_of(dist)
        name, version = name or folder[0], version or folder[1]
    return canonical(name or "?"), version or "?"


def _stated(dist: metadata.Distribution, field: str) -> str:
    try:
        return str(getattr(dist, field) or "")
    except Exception:
        return ""


def _folder_of(dist: metadata.Distribution) -> tuple[str, str]:
    """Name and version in the name of the folder that has the metadata, "" if none is found.

    importlib.metadata does not give the folder: it is one beside the distribution's modules.
    """
    try:
        site = Path(str(dist.locate_file("")))
        for folder in sorted(site.glob("*-*.dist-info")):
            if _contents(metadata.Distribution.at(folder)) == _contents(dist):
                name, _, version = folder.name.removesuffix(".dist-info").partition("-")
                return name, version
    except Exception:
        return "", ""
    return "", ""


def _contents(dist: metadata.Distribution) -> list[str]:
    return [content(dist, file) for file in ("METADATA", "entry_points.txt")]


def fault_of_metadata(dist: metadata.Distribution) -> str:
    """What is wrong with a distribution's METADATA, or ""."""
    try:
        dist.metadata.json  # noqa: B018  reads all
    except Exception as error:
        encoded = isinstance(error, UnicodeDecodeError)
        return f"its METADATA cannot be read: {'it is not UTF-8' if encoded else describe(error)}"
    lacking = [field for field in ("name", "version") if not _stated(dist, field)]
    return f"its METADATA has no {' and no '.join(lacking)}" if lacking else ""


def unreadable(error: BaseException) -> str:
    """The distributions that make importlib.metadata raise this error in any program, or "".

    It reads the entry points of all of them for each library that has some, such as pydantic
    and torch.
    """
    frames = traceback.extract_tb(error.__traceback__)
    if not any(Path(frame.filename).parent == Path(metadata.__file__).parent for frame in frames):
        return ""
    faults = []
    for dist in metadata.distributions():
        try:
            dist.entry_points  # noqa: B018
        except Exception as fault:
            name, version = named(dist)
            faults.append(
                f"{name} {version} in {dist.locate_file('')}: {fault_of_file(fault)}. Every "
                f"library that reads entry points fails: python -m pip uninstall {name}"
            )
    return "\n".join(faults)


def requirements_of(dist: metadata.Distribution) -> list[Requirement]:
    """The requirements of a distribution in this environment, without extras.

    Raises: InvalidRequirement.
    """
    from packaging.requirements import Requirement  # slow, and most commands need none

    found = [Requirement(text) for text in dist.requires or ()]
    return [one for one in found if one.marker is None or one.marker.evaluate({"extra": ""})]


def unmet(dist: metadata.Distribution) -> str:
    """The requirement on the core that the installed version does not meet, or "".

    One that cannot be read is none: the doctor reports it.
    """
    try:
        version = metadata.version(CORE)
        needed = [one for one in requirements_of(dist) if canonical(one.name) == CORE]
        wrong = [one for one in needed if not one.specifier.contains(version, prereleases=True)]
    except Exception:
        return ""
    return f"needs {wrong[0]}, and {CORE} {version} is installed" if wrong else ""


def fault_of_file(error: Exception) -> str:
    """What is wrong with a file of entry points that cannot be read."""
    encoded = isinstance(error, UnicodeDecodeError)
    reason = "it is not UTF-8" if encoded else "a line of it is not NAME = MODULE"
    return f"its entry_points.txt cannot be read: {reason}"


def module_of(point: metadata.EntryPoint) -> str:
    """The module of an entry point; "" if its value is none."""
    match = _REFERENCE.fullmatch(point.value)
    return match[1] if match else ""


def fault_of(point: metadata.EntryPoint) -> str:
    """What is wrong with the value of an entry point, or ""."""
    if module_of(point):
        return ""
    like = re.sub(r"[^\w.:]+", "_", point.value).strip("_")
    meant = f". Did you mean {like!r}?" if like else ""
    return f"its entry point {point.name} = {point.value!r} names no module{meant}"
