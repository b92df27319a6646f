"""What a new plugin may be called, so that pip, Python and rft all take the name."""

import re
from importlib import metadata, util

from rftcore.errors import PluginError
from rftcore.plugins import Catalogue
from rftcore.plugins.loading import canonical
from rftcore.plugins.offers import FIRST_PARTY, OWNERS

LONGEST = 30  # characters: longer ones break lines of what is written
# Ours, whether or not they are installed.
RESERVED = FIRST_PARTY | {f"rft-{name}" for _, name in OWNERS} | {"rft-scenes"}


def check_name(name: str) -> None:
    """Refuse a name that distribution, module and component cannot all have.

    Raises: PluginError with a name near it that they can.
    """
    if not re.fullmatch(r"(?!rft(-|$))[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        near = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
        near = re.sub(r"^(rft-?|[0-9-]+)+", "", near)
        raise PluginError(
            f"{name!r} is no name for a plugin: use lower-case letters, digits and single dashes, "
            "beginning with a letter; 'rft-' is put before it"
            + (f". Did you mean {near!r}?" if near else "")
        )
    if len(name) > LONGEST:
        raise PluginError(f"{name!r} has {len(name)} characters: use {LONGEST} or fewer")


def check_free(kind: str, name: str, catalogue: Catalogue) -> None:
    """Refuse a name that rft, an installed distribution or an installed plugin has.

    Raises: PluginError that says who has it.
    """
    distribution, module = f"rft-{name}", f"rft_{name.replace('-', '_')}"
    taken = ""
    if canonical(distribution) in RESERVED:
        taken = f"{distribution} belongs to rft itself"
    elif found := _installed(distribution):
        taken = f"{distribution} {found} is installed"
    elif util.find_spec(module) is not None:
        taken = f"Python finds a module {module} already"
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
