"""`rft plugins check`: check a task against the laws."""

import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from rftcore import jsontext
from rftcore.cli.output import echo, json_option
from rftcore.errors import RecipeError

if TYPE_CHECKING:
    from rftcore.testing import Result, Trial


@click.command("check")
@click.argument("name")
@click.option(
    "--law",
    "only",
    multiple=True,
    help="Law to check (repeatable); laws that it needs are checked, too.",
)
@click.option("--seed", default=0, show_default=True, help="Random seed.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change one setting.")
@click.option(
    "--expect", multiple=True, metavar="LAW=REASON", help="Expected failure and its reason."
)
@json_option("Print JSON instead of a table.")
def check(
    name: str,
    only: Sequence[str],
    seed: int,
    settings: Sequence[str],
    expect: Sequence[str],
    as_json: bool,
) -> None:
    """Check a task and its parts against the laws.

    Exit code 0 if all laws hold, 1 if one is broken. With --law, a broken law that
    it needs is shown and counted as well.

    \b
    Example:
      rft plugins check counting
      rft plugins check counting --law no-answer-lists --seed 1
    """
    from rftcore.progress import Bar
    from rftcore.testing import LAWS, Settings, Trial
    from rftcore.testing.trial import law_named

    start = time.monotonic()
    expected = dict(_reason(text) for text in expect)
    trial = Trial(
        name, _recipe(settings), expected=expected, settings=Settings(seed=seed), extra=settings
    )
    laws = [law_named(law_id) for law_id in only] or list(LAWS.values())
    results = []
    with Bar(len(laws), f"checking {name}", "law", show=not as_json) as bar:
        for result in trial.run(laws):
            results.append(result)
            bar.update(law=result.law.id)
    seconds = time.monotonic() - start
    echo(_as_json(trial, results, seconds) if as_json else _report(trial, results, seconds))
    sys.exit(int(any(result.bad for result in results)))


def _recipe(settings: Sequence[str]) -> dict[str, Any]:
    from rftcore.config import parse_override

    recipe: dict[str, Any] = {}
    for text in settings:
        _put(recipe, parse_override(text)[1])
    return recipe


def _put(into: dict[str, Any], layer: Any) -> None:
    for key, value in layer.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _put(into[key], value)
        else:
            into[key] = value


def _reason(text: str) -> tuple[str, str]:
    law, equals, reason = text.partition("=")
    if not equals:
        raise RecipeError(f"--expect {text!r}: write LAW=REASON, e.g. --expect no-safe-guess=...")
    return law.strip(), reason.strip()


def _report(trial: "Trial", results: "Sequence[Result]", seconds: float) -> str:
    from rftcore.testing.marks import explanation

    width = max(len(result.law.id) for result in results)
    lines = [f"{r.state:<14}  {r.law.id:<{width}}  {_beside(r)}" for r in results]
    for result in results:
        if result.bad:
            lines += ["", explanation(trial, result)]
    counts = Counter(result.state for result in results)
    summary = ", ".join(f"{count} {state}" for state, count in counts.items())
    return "\n".join([*lines, "", f"{trial.name}: {summary}; {seconds:.1f} s"])


def _beside(result: "Result") -> str:
    return result.law.title if result.state == "ok" or result.bad else result.seen


def _as_json(trial: "Trial", results: "Sequence[Result]", seconds: float) -> str:
    rows = [
        {
            "law": result.law.id,
            "about": result.law.about,
            "title": result.law.title,
            "state": result.state,
            "seen": result.seen,
            "why": result.law.why,
            "cause": result.cause or result.law.cause,
            "fix": result.fix or result.law.fix,
            "roots": list(result.roots),
            "command": trial.command(result.law),
            "seconds": round(result.seconds, 3),
        }
        for result in results
    ]
    facts = {"task": trial.name, "seed": trial.settings.seed, "seconds": round(seconds, 1)}
    return jsontext.dumps({**facts, "laws": rows}, indent=2)
