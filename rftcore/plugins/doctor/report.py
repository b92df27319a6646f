"""Look at every installed plugin and say what is wrong with it and what to do.

Metadata first, then each entry point in a process of its own, then all of them together:
who takes whose name, and whether what a task names is offered by anybody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata

from rftcore.errors import RftError
from rftcore.plugins.catalogue import Catalogue
from rftcore.plugins.doctor.installed import Finding, Installed, findings, installed
from rftcore.plugins.doctor.probe import Seen, probe
from rftcore.plugins.loading import Loaded
from rftcore.plugins.offers import Offer, Plugin

SLOW_S = 1.0  # an import that takes longer is told
TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Checkup:
    """What was found out about one distribution.

    `requires_core` is its bounds on rftcore, `import_s` what its entry points take to import.
    """

    distribution: str
    version: str
    requires_core: str
    import_s: float
    heavy: tuple[str, ...]
    findings: tuple[Finding, ...]


def examine(
    dists: Iterable[metadata.Distribution] | None = None,
    *,
    timeout_s: float = TIMEOUT_S,
    tell: Callable[[], object] = lambda: None,
) -> list[Checkup]:
    """A checkup of every distribution that has something for rft, or of `dists`.

    `timeout_s` bounds the import of one entry point; `tell` is called after each distribution.
    """
    everyone = installed(dists)
    told = {one.name: list(findings(one)) for one in everyone}
    seen: dict[str, dict[Plugin, Seen]] = {}
    for one in everyone:
        seen[one.name] = dict(_seen(one, timeout_s))
        tell()
    together = _Together(seen)
    for one in everyone:
        for plugin, facts in seen[one.name].items():
            told[one.name] += _alone(plugin, facts)
            told[one.name] += _among_others(plugin, facts, Catalogue(together))
    return [_checkup(one, seen[one.name].values(), told[one.name]) for one in everyone]


def _seen(one: Installed, timeout_s: float) -> Iterator[tuple[Plugin, Seen]]:
    for point in one.findable:
        plugin = Plugin(point.name, one.name, one.dist.version)
        yield plugin, probe(point, plugin.distribution, plugin.version, timeout_s)


class _Together(Loaded):
    """What all plugins offer, as each showed it in its own process: nothing is loaded here."""

    def __init__(self, seen: Mapping[str, Mapping[Plugin, Seen]]) -> None:
        super().__init__()
        self._seen = {plugin: facts for each in seen.values() for plugin, facts in each.items()}
        self.plugins = list(self._seen)

    def offers(self, kind: str) -> Iterator[Offer]:
        for plugin, facts in self._seen.items():
            yield from (Offer(kind, o.name, plugin, print) for o in facts.offers if o.kind == kind)


def _alone(plugin: Plugin, facts: Seen) -> Iterator[Finding]:
    """What is wrong with a plugin whatever else is installed."""
    mend = f"mend it, or python -m pip uninstall {plugin.distribution}"
    faults = [reason for _, reason in facts.failures] + [o.fault for o in facts.offers if o.fault]
    yield from (Finding(plugin.distribution, fault, mend) for fault in faults)
    if not (facts.hooks or facts.failures):
        yield Finding(
            plugin.distribution,
            f"the module of its entry point {plugin.name!r} has no hook, so it offers nothing",
            "write a hook such as rft_tasks, with @rftcore.hookimpl above it",
        )
    if not facts.failures and (facts.heavy or facts.seconds > SLOW_S):
        packages = f" and loads {', '.join(facts.heavy)}" if facts.heavy else ""
        yield Finding(
            plugin.distribution,
            f"importing it takes {facts.seconds:.2f} s{packages}: every rft command waits for it",
            "import what is heavy inside the functions that use it",
        )


def _among_others(plugin: Plugin, facts: Seen, catalogue: Catalogue) -> Iterator[Finding]:
    """Names that others have, too, and names that nobody has."""
    for offer in facts.offers:
        for kind, name in offer.needs:
            try:
                catalogue.find(kind, name)
            except RftError as error:
                text = f"{offer.kind} {offer.name!r}: {str(error).partition(chr(10))[0]}"
                yield Finding(plugin.distribution, text, "correct the name, or install who has it")
    for row in catalogue.rows():
        if row.distribution == plugin.distribution and row.state.startswith("ok, only as "):
            qualified = row.state.removeprefix("ok, only as ")
            yield Finding(
                plugin.distribution,
                f"others offer a {row.kind} {row.name!r}, too, or own that name",
                f"call it {qualified}, or offer it by another name",
            )


def _checkup(one: Installed, seen: Iterable[Seen], told: Iterable[Finding]) -> Checkup:
    seen = list(seen)
    return Checkup(
        distribution=one.name,
        version=one.dist.version,
        requires_core=one.requires_core,
        import_s=round(sum(facts.seconds for facts in seen), 4),
        heavy=tuple(sorted({package for facts in seen for package in facts.heavy})),
        findings=tuple(dict.fromkeys(told)),
    )
