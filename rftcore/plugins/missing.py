"""Errors for a name that no component has, or several.

They suggest similar names and what to install, and report the plugins that are broken.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from rftcore.errors import PluginError, UnknownNameError, did_you_mean, similar
from rftcore.plugins.offers import OWNERS, Failure, Offer
from rftcore.plugins.points import canonical


def placed(origin: str) -> str:
    """Where a name was given, in brackets, or ""."""
    return f" ({origin})" if origin else ""


def ambiguous(kind: str, name: str, origin: str, offers: Sequence[Offer]) -> UnknownNameError:
    """The error for a name that several offers have."""
    names = sorted(offer.qualified for offer in offers)
    return UnknownNameError(
        f"{kind} {name!r}{placed(origin)} is offered more than once. "
        f"Use one of: {', '.join(names)}",
        kind=kind,
        name=name,
        origin=origin,
        suggestions=names,
        offered=names,
    )


def missing(
    kind: str,
    name: str,
    origin: str,
    offers: Sequence[Offer],
    names: Sequence[str],
    failures: Sequence[Failure],
) -> PluginError:
    """The error for a name that no offer has: an UnknownNameError, unless its plugin is broken.

    offers, names: every component of the kind, and the shortest name of each.
    """
    distribution, _, bare = name.rpartition(":")
    source = canonical(distribution) or OWNERS.get((kind, bare), "")
    broken = [f for f in failures if f.kind in (None, kind)]
    for failure in broken:
        if failure.plugin.distribution == source:
            text = f"{kind} {name!r}{placed(origin)} is not available: broken {failure}"
            error = PluginError(text, plugin=source)
            error.__cause__ = failure.error
            return error
    known = [known for of, known in OWNERS if of == kind]
    in_file = task_in_file(name)
    meant = similar(bare, {*names, *known} - {bare})
    if in_file and kind == "task":
        meant = (in_file,)
    text = f"no {kind} named {name!r}{placed(origin)}.{did_you_mean(meant)}"
    text += _left_out() or _install_hint(kind, bare, names)
    if kind != "task" and (in_file or ".py" in name):
        text += f" Only a task is named by its file: pass the {kind} to the Task in it."
    if others := [offer.qualified for offer in offers if offer.name == bare]:
        text += f" Other distributions offer that name: {', '.join(others)}."
    text += f"\nOffered: {', '.join(names) or 'none'}."
    text += f" `rft plugins list` lists each with its distribution.{suspects(broken)}"
    return UnknownNameError(
        text, kind=kind, name=name, origin=origin, suggestions=meant, offered=names
    )


def task_in_file(name: str) -> str:
    """`./file.py:factory` for a name that leaves out ".py", the colon or the factory; or ""."""
    for path, _, factory in (name.partition(":"), name.rpartition("."), (name, "", "")):
        file = path if path.endswith(".py") else f"{path}.py"
        with suppress(OSError, RuntimeError, ValueError):  # too long, no home, a null byte
            if Path(file).expanduser().is_file():
                return f"{file}:{factory or 'FACTORY'}"
    return ""


def suspects(broken: Sequence[Failure]) -> str:
    """A line for each broken plugin that may be what offers a name."""
    return "".join(f"\nBroken, and may be what offers it: {failure}" for failure in broken)


def _left_out() -> str:
    """A reminder that RFT_PLUGINS hides plugins, or ""."""
    named = os.environ.get("RFT_PLUGINS")
    return f" RFT_PLUGINS={named} loads only these plugins." if named else ""


def _install_hint(kind: str, name: str, offered: Sequence[str]) -> str:
    """Which distribution to install for an owned name, or one like it, that is not offered."""
    known = [n for of, n in OWNERS if of == kind and n not in offered]
    meant = (name,) if name in known else similar(name, known, most=1)
    if not meant:
        return ""
    owner = OWNERS[kind, meant[0]]
    return f" {meant[0]!r} comes with {owner}: `pip install ./plugins/{owner}` in a clone of rft."
