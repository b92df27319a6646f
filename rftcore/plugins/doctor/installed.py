"""Find and check installed plugins by their metadata; no code of a plugin runs here."""

from __future__ import annotations

import json
import platform
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from rftcore.plugins.offers import CORE, GROUP
from rftcore.plugins.points import (
    canonical,
    content,
    fault_of,
    fault_of_file,
    fault_of_metadata,
    module_of,
    named,
    points_of,
    requirements_of,
)


@dataclass(frozen=True)
class Finding:
    """One fault of a distribution, and what to do about it."""

    distribution: str
    text: str
    next: str


@dataclass(frozen=True)
class Installed:
    """A distribution with an entry point of rft, in the copy that Python imports.

    copies: the folders of all its copies, this one's first.
    """

    name: str
    dist: metadata.Distribution
    copies: tuple[Path, ...]

    @property
    def points(self) -> list[metadata.EntryPoint]:
        """Its entry points in the group `rft`; none if they cannot be read."""
        try:
            return points_of(self.dist)
        except Exception:
            return []

    @property
    def version(self) -> str:
        """Its version, "?" if it states none."""
        return named(self.dist)[1]

    @property
    def findable(self) -> list[metadata.EntryPoint]:
        """The entry points whose module Python finds."""
        named = [(point, module_of(point)) for point in self.points]
        return [point for point, name in named if name and util.find_spec(name.partition(".")[0])]

    @property
    def requires_core(self) -> str:
        """Its version bounds on rftcore, "" if it has none."""
        found = [r for r in _readable(self) if canonical(r.name) == CORE]
        return str(found[0].specifier) if found else ""

    def requirements(self) -> list[Requirement]:
        """Its requirements in this environment, without extras. Raises: InvalidRequirement."""
        return requirements_of(self.dist)

    @property
    def source(self) -> Path | None:
        """The source folder of an editable installation, else None."""
        try:
            facts = json.loads(content(self.dist, "direct_url.json") or "{}")
            if not facts.get("dir_info", {}).get("editable"):
                return None
            return Path(url2pathname(urlparse(facts["url"]).path))
        except (ValueError, LookupError, AttributeError):  # no JSON, or not as PEP 610 has it
            return None


def installed(dists: Iterable[metadata.Distribution] | None = None) -> list[Installed]:
    """Every distribution with an entry point in the group `rft`, by name.

    A folder that is on `sys.path` twice counts once, and so does the metadata that setuptools
    leaves beside the source of an editable installation.
    """
    found: dict[str, dict[Path, metadata.Distribution]] = {}
    for dist in metadata.distributions() if dists is None else dists:
        if _is_plugin(dist):
            place = Path(str(dist.locate_file(""))).resolve()
            copies = found.setdefault(named(dist)[0], {})
            if content(dist, "METADATA") or not copies:
                copies.setdefault(place / named(dist)[1], dist)
    rows = sorted(found.items())
    return [
        Installed(name, next(iter(copies.values())), tuple(path.parent for path in copies))
        for name, copies in rows
    ]


def _is_plugin(dist: metadata.Distribution) -> bool:
    """Whether it has an entry point of rft, or a file of them that cannot be read."""
    try:
        return bool(points_of(dist))
    except Exception:
        return True


def findings(one: Installed) -> Iterator[Finding]:
    """The faults in the metadata of a distribution."""
    again = f"install {one.name} again, or python -m pip uninstall {one.name}"
    try:
        points_of(one.dist)
    except Exception as error:
        yield Finding(one.name, fault_of_file(error), again)
        return
    checks = [_copies, _python, _requirements, _source, _modules]
    if fault := fault_of_metadata(one.dist):
        yield Finding(one.name, fault, again)
        checks = [_modules]
    for check in checks:
        for text, next_ in check(one):
            yield Finding(one.name, text, next_)


Faults = Iterator[tuple[str, str]]  # what is wrong, and what to do


def _copies(one: Installed) -> Faults:
    if len(one.copies) > 1:
        places = ", ".join(map(str, one.copies))
        again = f"python -m pip uninstall {one.name}"
        yield (
            f"it is installed {len(one.copies)} times: {places}",
            f"run `{again}` until nothing is left, then install it once",
        )


def _python(one: Installed) -> Faults:
    required = str(one.dist.metadata.json.get("requires_python", ""))
    version = platform.python_version()
    try:
        if required and not SpecifierSet(required).contains(version, prereleases=True):
            yield f"it needs Python {required}, and this is {version}", "use a Python that fits"
    except InvalidSpecifier:
        fault = f"its Requires-Python {required!r} is not a valid version specifier"
        yield fault, _author_sets("requires-python")


def _requirements(one: Installed) -> Faults:
    try:
        needed = one.requirements()
    except InvalidRequirement as error:
        yield f"a dependency cannot be read: {error}", _author_sets("dependencies")
        return
    if one.name != CORE and not any(canonical(r.name) == CORE for r in needed):
        yield (
            f"it does not declare a dependency on {CORE}",
            _author_sets("dependencies") + f", such as {CORE}>={metadata.version(CORE)}",
        )
    for requirement in needed:
        install = f"python -m pip install '{requirement}'"
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            yield f"it needs {requirement}, which is not installed", install
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            other = f"another version of {one.name}"
            yield f"it needs {requirement}, and {version} is installed", f"{install}, or {other}"


def _source(one: Installed) -> Faults:
    folder = one.source
    if folder is None:
        return
    if not folder.is_dir():
        yield (
            f"it was installed from {folder}, which no longer exists",
            f"python -m pip install -e NEW_FOLDER, or python -m pip uninstall {one.name}",
        )
    elif (now := _points_of(folder)) is not None:
        installed_ = {point.name: point.value for point in one.points}
        if now != installed_:
            yield (
                f"{folder / 'pyproject.toml'} has other entry points than were installed",
                f"python -m pip install -e {folder}",
            )


def _points_of(folder: Path) -> dict[str, str] | None:
    """The entry points that a source folder declares, None if they are dynamic."""
    try:
        project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    except (OSError, ValueError, KeyError):
        return None
    dynamic = "entry-points" in project.get("dynamic", ())
    return None if dynamic else dict(project.get("entry-points", {}).get(GROUP, {}))


def _modules(one: Installed) -> Faults:
    found = one.findable
    for point in one.points:
        if fault := fault_of(point):
            yield fault, _author_sets(f"entry-points.{GROUP}")
        elif point not in found:
            yield (
                f"its entry point {point.name!r} names the module {module_of(point)!r}, which "
                "Python does not find",
                f"install {one.name} again, or python -m pip uninstall {one.name}",
            )


def _readable(one: Installed) -> list[Requirement]:
    try:
        return one.requirements()
    except Exception:  # reported as a finding
        return []


def _author_sets(field: str) -> str:
    return f"its author should set {field} in pyproject.toml"
