"""What a report shows of a run beside its answers: settings, table, curves, findings, failures."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from statistics import fmean
from typing import Any

from rftcore import jsontext
from rftcore.config import load_recipe, read_recipe_file
from rftcore.errors import RunError
from rftcore.evaluation.scores import SplitScore
from rftcore.evaluation.tables import PHASES as SHORT
from rftcore.evaluation.tables import STAGES as LONG
from rftcore.evaluation.tables import gain, row_name
from rftcore.progress import clock
from rftcore.reports.advantages import RULES, scale_of
from rftcore.reports.rows import STAGES, Row
from rftcore.runs import PHASES, RunFolder

POINTS = 600  # of a curve; more steps are averaged
KINDS_OF_FAILURE = 30  # shown, with an example each


def run_facts(run: RunFolder, answers: Sequence[Row]) -> dict[str, Any]:
    """A run as the page shows it, without its rows. answers: all of the run's."""
    recipe = load_recipe((str(run.recipe_file), read_recipe_file(run.recipe_file)))
    manifest = run.manifest()
    results = {phase: run.phase(phase) for phase in PHASES if run.done(phase)}
    ended, notes = _end(run)
    return {
        "name": run.path.name,
        "path": str(run.path),
        "ended": ended,
        "smoke": bool(manifest.get("smoke")),
        "facts": list(_facts(run, manifest, recipe.model_dump(mode="json"), results)),
        "provenance": list(_provenance(run, manifest)),
        "recipe": run.recipe_file.read_text(encoding="utf-8"),
        "manifest": jsontext.dumps(
            {name: fact for name, fact in manifest.items() if name != "recipe"}, indent=2
        ),
        "prompt": manifest.get("prompt_example"),
        "scores": list(_scores(run)),
        "gains": list(_gains(answers)),
        "findings": [text for facts in results.values() for text in facts.get("findings", [])],
        "notes": notes,
        "vision": _vision(run, manifest, enabled=recipe.vision_check.enabled),
        "failures": _failures(run),
        "curves": {phase: curves(run.metrics(phase)) for phase in PHASES},
        "advantage": RULES[scale_of(recipe.grpo.model_dump())],
    }


def _end(run: RunFolder) -> tuple[bool, list[str]]:
    """Whether the run has ended, and the notes of its table that no phase has found."""
    try:
        notes = list(run.summary().get("notes", []))
    except RunError:
        return False, []
    known = {t for p in PHASES if run.done(p) for t in run.phase(p).get("findings", [])}
    return True, [note for note in notes if note not in known]


def _facts(
    run: RunFolder,
    manifest: Mapping[str, Any],
    recipe: Mapping[str, Any],
    results: Mapping[str, Mapping[str, Any]],
) -> Iterator[tuple[str, str]]:
    yield "paradigm", recipe["paradigm"]
    yield "task", recipe["task"]
    yield "model", recipe["model"]
    yield "seed", str(recipe["seed"])
    yield "started", str(manifest.get("created"))
    for phase, facts in results.items():
        yield f"time of {phase}", clock(facts.get("seconds") or 0)
    for phase, facts in results.items():
        if used := facts.get("usage"):
            yield f"used by {phase}", _usage(used)
    yield "done", ", ".join(run.phases_done()) or "nothing yet"


def _usage(used: Mapping[str, Any]) -> str:
    counts = ("samples", "tokens_read", "tokens_generated", "tokens_trained")
    parts = [f"{used[name]:,} {name.replace('_', ' ')}" for name in counts if used.get(name)]
    return ", ".join([*parts, f"{used.get('peak_memory', 0) / 2**30:.1f} GiB of memory at most"])


def _provenance(run: RunFolder, manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "command", shlex.join(map(str, manifest.get("command", [])))
    plugins = manifest.get("plugins", {})
    yield "plugins", ", ".join(f"{name} {version}" for name, version in plugins.items())
    packages = manifest.get("packages", {})
    named = ("torch", "transformers", "trl")
    yield "packages", ", ".join(f"{name} {packages.get(name, '?')}" for name in named)
    yield "machine", f"Python {manifest.get('python')}, {manifest.get('platform')}"
    yield "commit", str(manifest.get("commit") or "unknown")
    yield "prompt hash", str(manifest.get("prompt_hash") or "not known yet")
    if (origin := manifest.get("forked_from")) is not None:
        yield "forked from", str(origin.get("run"))
    yield "folder", str(run.path)


def _scores(run: RunFolder) -> Iterator[dict[str, Any]]:
    """The scores of each stage that was evaluated, with the name of its row in the table."""
    for stage in STAGES:
        if scores := run.scores(stage):
            name = row_name(LONG[stage], [SplitScore.from_json(score) for score in scores])
            yield {"stage": stage, "name": name, "splits": scores}


def _gains(answers: Sequence[Row]) -> Iterator[dict[str, Any]]:
    """What each evaluated stage gained over the one before, where the questions are the same."""
    by: dict[tuple[str, str], list[Row]] = {}
    for row in answers:
        by.setdefault((row.source, row.answer.split or ""), []).append(row)
    stages = [stage for stage in STAGES if any(source == stage for source, _ in by)]
    for since, stage in itertools.pairwise(stages):
        for split in dict.fromkeys(split for source, split in by if source == stage):
            before, after = by.get((since, split), []), by[stage, split]
            if [row.sample for row in before] == [row.sample for row in after]:
                pairs = zip(before, after, strict=True)
                right = [(b.answer.correct, a.answer.correct) for b, a in pairs]
                found = asdict(gain(split, since, stage, right))
                yield {**found, "name": f"{SHORT[since]} to {SHORT[stage]}"}


def _vision(run: RunFolder, manifest: Mapping[str, Any], *, enabled: bool) -> str:
    facts = manifest.get("vision_check")
    if facts:
        return (
            f"passed: another sample's images change the log-probability of an answer by "
            f"{facts['mean_shift_nats']:.3g} nats on average ({facts['samples']} samples)"
        )
    if not enabled:
        return "switched off (vision_check.enabled=false)"
    return "not needed: no sample has an image" if run.phases_done()[1:] else "not done yet"


def _failures(run: RunFolder) -> dict[str, Any]:
    """How many calls of rewards failed, by cause, each with its first example."""
    lines = run.failures()
    kinds: dict[tuple[str, str, str], dict[str, Any]] = {}
    for line in lines:
        why = line.get("cause") or line.get("note")
        cause = str(line.get("reward")), str(line.get("kind")), str(why)
        kind = kinds.setdefault(cause, {**line, "count": 0})
        kind["count"] += 1 + int(line.get("more") or 0)
    most = sorted(kinds.values(), key=lambda kind: -kind["count"])
    return {
        "count": sum(kind["count"] for kind in most),
        "complete": run.has_all_failures(),
        "kinds": most[:KINDS_OF_FAILURE],
        "more": max(0, len(most) - KINDS_OF_FAILURE),
    }


def curves(lines: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[float, float]]]:
    """(step, value) of each number that was logged at two steps or more.

    Above `POINTS` steps, each point is the mean of as many neighbors as needed.
    """
    found: dict[str, list[tuple[float, float]]] = {}
    for line in lines:
        for name, value in line.items():
            if name not in ("phase", "step", "epoch") and isinstance(value, int | float):
                found.setdefault(name, []).append((line["step"], value))
    return {name: _averaged(points) for name, points in found.items() if len(points) > 1}


def _averaged(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    width = -(-len(points) // POINTS)
    parts = [points[at : at + width] for at in range(0, len(points), width)]
    return [
        (round(fmean(x for x, _ in part), 1), float(f"{fmean(y for _, y in part):.5g}"))
        for part in parts
    ]
