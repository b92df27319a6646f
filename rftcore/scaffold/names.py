"""Check the name of a new plugin: valid for pip, Python and rft, and not in use."""

import re
from importlib import metadata, util

from rftcore.errors import PluginError
from rftcore.plugins import Catalogue
from rftcore.plugins.offers import FIRST_PARTY, OWNERS
from rftcore.plugins.points import canonical

LONGEST = 30  # characters: longer names would break lines of the templates
# Names of rft itself, whether or not they are installed.
RESERVED = FIRST_PARTY | {f"rft-{name}" for _, name in OWNERS} | {"rft-scenes"}


def check_name(name: str) -> None:
    """Check that a name is valid for a distribution, a module and a component.

    Raises: PluginError with a similar name that is valid.
    """
    if not re.fullmatch(r"(?!rft(-|$))[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        near = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
        near = re.sub(r"^(rft-?|[0-9-]+)+", "", near)
        raise PluginError(
            f"{name!r} is not a name for a plugin: use lower-case letters, digits and single "
            "dashes, starting with a letter; 'rft-' is added in front"
            + (f". Did you mean {near!r}?" if near else "")
        )
    if len(name) > LONGEST:
        raise PluginError(f"{name!r} has {len(name)} characters: use {LONGEST} or fewer")


def check_free(kind: str, name: str, catalogue: Catalogue) -> None:
    """Check that no part of rft, installed distribution or plugin uses a name.

    Raises: PluginError with what uses it.
    """
    distribution, module = f"rft-{name}", f"rft_{name.replace('-', '_')}"
    taken = ""
    if canonical(distribution) in RESERVED:
        taken = f"{distribution} belongs to rft itself"
    elif found := _installed(distribution):
        taken = f"{distribution} {found} is installed"
    elif util.find_spec(module) is not None:
        taken = f"there is already a module {module}"
    elif holders := [str(o.plugin) for o in catalogue.offers(kind) if o.name == name]:
        taken = f"{', '.join(holders)} offers a {kind} of that name"
    if taken:
        raise PluginError(f"the name {name!r} is taken: {taken}. Choose another.")


def _installed(distribution: str) -> str:
    """The version that is installed, or ""."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""
