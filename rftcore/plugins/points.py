"""Entry points of installed plugins, read distribution by distribution.

`importlib.metadata.entry_points` raises for all if one distribution has a file that it cannot
read.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterable
from importlib import metadata
from typing import TYPE_CHECKING

from rftcore.errors import describe
from rftcore.plugins.offers import CORE, GROUP, Failure, Plugin

if TYPE_CHECKING:
    from packaging.requirements import Requirement

_REFERENCE = re.compile(r"([\w.]+)\s*(:\s*[\w.]+)?\s*(\[.*\])?\s*")
_SECTION = re.compile(rf"^\s*\[\s*{GROUP}\s*\]", re.MULTILINE)


def canonical(name: str) -> str:
    """The normalized name of a distribution (PEP 503): `My_Tasks` becomes `my-tasks`."""
    return re.sub(r"[-_.]+", "-", name).lower()


def found(
    dists: Iterable[metadata.Distribution] | None = None,
) -> tuple[list[metadata.EntryPoint], list[Failure]]:
    """The entry points in the group `rft`, and the distributions whose file cannot be read."""
    points: list[metadata.EntryPoint] = []
    failures: list[Failure] = []
    for dist in metadata.distributions() if dists is None else dists:
        try:
            points += points_of(dist)
        except Exception as error:
            name, version = named(dist)
            failures.append(Failure(Plugin(name, name, version), fault_of_file(error)))
    return points, failures


def points_of(dist: metadata.Distribution) -> list[metadata.EntryPoint]:
    """The entry points of a distribution in the group `rft`.

    Raises: whatever importlib.metadata raises for a file that it cannot read, if the group is in
    it.
    """
    try:
        return [point for point in dist.entry_points if point.group == GROUP]
    except Exception:
        if _SECTION.search(_text(dist)):
            raise
        return []


def _text(dist: metadata.Distribution) -> str:
    """The file of entry points; "" if it is not text."""
    try:
        return dist.read_text("entry_points.txt") or ""
    except Exception:
        return ""


def unreadable(error: BaseException) -> str:
    """Which distribution makes importlib.metadata raise this error, as one message, or "".

    Pydantic and other libraries read the entry points of all that is installed, and raise for one.
    """
    frames = traceback.extract_tb(error.__traceback__)
    if not frames or not any("importlib" in frame.filename for frame in frames[-3:]):
        return ""
    for dist in metadata.distributions():
        try:
            dist.entry_points  # noqa: B018
        except Exception as fault:
            name, _ = named(dist)
            place = dist.locate_file("")
            return (
                f"the entry_points.txt of {name} in {place} cannot be read ({describe(fault)}), "
                "which breaks every program that looks for plugins: install it again or remove it"
            )
    return ""


def named(dist: metadata.Distribution) -> tuple[str, str]:
    """Name and version of a distribution; "?" for what its metadata does not have."""
    try:
        return canonical(str(dist.name or "?")), str(dist.version or "?")
    except Exception:
        return "?", "?"


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
    return (
        f"its entry_points.txt cannot be read ({describe(error)}): a line is name = module; "
        "install it again, or tell its author"
    )


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
