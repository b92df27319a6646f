"""The five paradigms of the paper: which phases each runs, and what its SFT teaches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from rftcore.errors import Fault

Paradigm = Literal["zero-shot", "ans-sft", "cot-sft", "reason-rft-zero", "reason-rft"]
DEFAULT: Paradigm = "reason-rft"
ANSWERS: Paradigm = "ans-sft"  # the one whose SFT teaches the bare answer
PHASES: Mapping[Paradigm, Mapping[str, bool]] = {
    "zero-shot": {"sft": False, "grpo": False},
    "ans-sft": {"sft": True, "grpo": False},
    "cot-sft": {"sft": True, "grpo": False},
    "reason-rft-zero": {"sft": False, "grpo": True},
    "reason-rft": {"sft": True, "grpo": True},
}

Path_ = tuple[str, ...]


def of_phases(sft: bool, grpo: bool) -> Paradigm:
    """The paradigm that runs these phases; of the two that run SFT alone, CoT-SFT."""
    phases = {"sft": sft, "grpo": grpo}
    return next(name for name in reversed([*PHASES]) if PHASES[name] == phases)


def settle(settings: dict[str, Any], origins: Mapping[Path_, str]) -> list[Fault]:
    """Let the paradigm and the switches of phases in a recipe agree, in place.

    A paradigm sets the switches. Without one, the switches decide which it is.
    Returns: a fault per switch that contradicts the paradigm.
    """
    switches = _switches(settings)
    if "paradigm" not in settings:
        given = {phase: switches.get(phase, True) for phase in PHASES[DEFAULT]}
        if all(isinstance(each, bool) for each in given.values()):
            settings["paradigm"] = of_phases(**given)
        return []
    paradigm = settings["paradigm"]
    phases = next((each for name, each in PHASES.items() if name == paradigm), None)
    if phases is None:
        return []  # the schema has a fault for it
    faults = []
    for phase, on in phases.items():
        switch = switches.get(phase, on)
        if isinstance(switch, bool) and switch != on:
            faults.append(_fault(phase, switch, {**phases, phase: switch}, paradigm, origins))
        elif isinstance(settings.setdefault(phase, {}), dict):
            settings[phase].setdefault("enabled", on)
    return faults


def give_way(settings: dict[str, Any], origins: dict[Path_, str]) -> None:
    """Remove switches of earlier layers, because a later one has a paradigm.

    Those of the command line stay: they must agree with it.
    """
    for phase in _switches(settings):
        if not origins.get((phase, "enabled"), "").startswith("--"):
            del settings[phase]["enabled"]
            origins.pop((phase, "enabled"), None)


def _switches(settings: Mapping[str, Any]) -> dict[str, Any]:
    found = {phase: settings.get(phase) for phase in PHASES[DEFAULT]}
    return {p: s["enabled"] for p, s in found.items() if isinstance(s, dict) and "enabled" in s}


def _fault(
    phase: str,
    given: bool,
    wanted: Mapping[str, bool],
    paradigm: str,
    origins: Mapping[Path_, str],
) -> Fault:
    does = "leaves this phase out" if given else "runs this phase"
    rule = (
        f"paradigm={paradigm} ({origins.get(('paradigm',), 'default')}) {does}: leave "
        f"{phase}.enabled out, or choose paradigm={of_phases(**wanted)}"
    )
    return Fault(f"{phase}.enabled", rule, given, origins.get((phase, "enabled"), "default"))
