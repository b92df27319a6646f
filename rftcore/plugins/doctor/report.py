"""Examine every installed plugin and report what is wrong and what to do.

First the metadata, then each entry point in its own process, then all of them together: names
that clash, and names in a task that no plugin offers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING

from rftcore.errors import RftError
from rftcore.plugins.catalogue import Catalogue
from rftcore.plugins.doctor.installed import Finding, Installed, findings, installed
from rftcore.plugins.doctor.probe import Probed, probe
from rftcore.plugins.loading import Observers
from rftcore.plugins.offers import Failure, Offer, Plugin

if TYPE_CHECKING:
    import click

SLOW_S = 1.0  # an import that takes longer is reported
TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Checkup:
    """The findings about one distribution.

    requires_core: its bounds on rftcore. import_s: the import time of its entry points.
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
    progress: Callable[[], object] = lambda: None,
) -> list[Checkup]:
    """A checkup of every installed distribution with an entry point of rft, or of `dists`.

    `timeout_s` limits the import of one entry point; `progress` is called after each
    distribution.
    """
    distributions = installed(dists)
    found = {one.name: list(findings(one)) for one in distributions}
    probed: dict[str, dict[Plugin, Probed]] = {}
    for one in distributions:
        probed[one.name] = dict(_probed(one, timeout_s))
        progress()
    together = Catalogue(
        Recorded({plugin: facts for each in probed.values() for plugin, facts in each.items()})
    )
    for one in distributions:
        for plugin, facts in probed[one.name].items():
            found[one.name] += _alone(plugin, facts)
            found[one.name] += _among_others(plugin, facts, together)
    return [_checkup(one, probed[one.name].values(), found[one.name]) for one in distributions]


def _probed(one: Installed, timeout_s: float) -> Iterator[tuple[Plugin, Probed]]:
    for point in one.findable:
        plugin = Plugin(point.name, one.name, one.version)
        yield plugin, probe(point, plugin.distribution, plugin.version, timeout_s)


@dataclass(frozen=True)
class Recorded:
    """What all plugins offer, as recorded in their own processes: names without factories."""

    probed: Mapping[Plugin, Probed]
    failures: list[Failure] = field(default_factory=list)
    hooks: Observers = field(default_factory=lambda: Observers(lambda hook, **values: None))

    @property
    def plugins(self) -> list[Plugin]:
        """Every plugin, in the order of its distribution."""
        return list(self.probed)

    def offers(self, kind: str) -> Iterator[Offer]:
        """What the plugins offer of a kind."""
        for plugin, facts in self.probed.items():
            for offered in facts.offers:
                if offered.kind == kind:
                    yield Offer(kind, offered.name, plugin, _not_loaded)

    def commands(self) -> Iterator[tuple[Plugin, click.Command]]:
        """None: commands are not recorded."""
        return iter(())


def _not_loaded(**options: object) -> object:
    raise NotImplementedError("a recorded component has no factory")


def _alone(plugin: Plugin, facts: Probed) -> Iterator[Finding]:
    """The faults of a plugin that do not depend on other plugins."""
    repair = f"fix it, or python -m pip uninstall {plugin.distribution}"
    faults = [reason for _, reason in facts.failures] + [o.fault for o in facts.offers if o.fault]
    yield from (Finding(plugin.distribution, fault, repair) for fault in faults)
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
            f"importing it takes {facts.seconds:.2f} s{packages}, which slows down every rft "
            "command",
            "import slow packages inside the functions that use them",
        )


def _among_others(plugin: Plugin, facts: Probed, catalogue: Catalogue) -> Iterator[Finding]:
    """Names that other distributions also offer, and names that none offers."""
    for offer in facts.offers:
        for kind, name in offer.needs:
            try:
                catalogue.find(kind, name)
            except RftError as error:
                text = f"{offer.kind} {offer.name!r}: {error.headline}"
                repair = "correct the name, or install the distribution that offers it"
                yield Finding(plugin.distribution, text, repair)
    for row in catalogue.rows():
        if row.distribution == plugin.distribution and row.state == "qualified":
            yield Finding(
                plugin.distribution,
                f"{row.kind} {row.name!r} is also offered by another distribution, or reserved",
                f"refer to it as {row.qualified}, or offer it by another name",
            )


def _checkup(one: Installed, probed: Iterable[Probed], found: Iterable[Finding]) -> Checkup:
    probed = list(probed)
    return Checkup(
        distribution=one.name,
        version=one.version,
        requires_core=one.requires_core,
        import_s=round(sum(facts.seconds for facts in probed), 4),
        heavy=tuple(sorted({package for facts in probed for package in facts.heavy})),
        findings=tuple(dict.fromkeys(found)),
    )
