"""Plots of a comparison, as SVG files: matplotlib draws them, if it is installed."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from statistics import fmean
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from rftcore.comparison.results import Comparison
from rftcore.comparison.rows import Row
from rftcore.splits import is_ood

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MISSING = (
    "no plots: they need the package matplotlib: pip install 'rftcore[compare]', then run the "
    "same command again"
)
TERM = "reward/"  # of a metric: the mean of a reward term
BINS = 60  # points of a curve
Curve = list[tuple[float, float]]


def plots(found: Comparison) -> dict[str, str]:
    """SVG by file name. Raises: ImportError if matplotlib is not installed."""
    import matplotlib.figure  # noqa: F401  the error is due here, before anything is drawn

    drawn = {"accuracy": accuracy(found), "lengths": lengths(found), **dict(_of_training(found))}
    if any(row.share < 1 for row in found.rows):
        drawn["data"] = data(found)
    return {f"{name}.svg": _svg(figure) for name, figure in drawn.items()}


def accuracy(found: Comparison) -> Figure:
    """Accuracy by row with 95 % intervals; out of distribution beside in distribution."""
    figure, axes = _figure(len(found.rows) * 0.9 + 3.2)
    width = 0.7 / len(found.splits)
    for number, split in enumerate(found.splits):
        shares = [found.cells[row.name][number].accuracy for row in found.rows]
        at = [i + (number - (len(found.splits) - 1) / 2) * width for i in range(len(found.rows))]
        values = [100 * each.value for each in shares]
        below = [100 * (each.value - each.low) for each in shares]
        above = [100 * (each.high - each.value) for each in shares]
        axes.errorbar(
            at,
            values,
            yerr=[below, above],
            fmt="s" if is_ood(split) else "o",
            capsize=3,
            label=split,
        )
    _name_rows(axes, found)
    axes.set_ylabel("accuracy, % (95 % interval)")
    axes.set_ylim(0, 100)
    _legend_beside(axes)
    return figure


def lengths(found: Comparison) -> Figure:
    """Mean length of a completion by row and split."""
    figure, axes = _figure(len(found.rows) * 0.9 + 3.2)
    width = 0.8 / len(found.splits)
    for number, split in enumerate(found.splits):
        at = [i + (number - (len(found.splits) - 1) / 2) * width for i in range(len(found.rows))]
        tokens = [found.cells[row.name][number].tokens for row in found.rows]
        axes.bar(at, tokens, width, label=split)
    _name_rows(axes, found)
    axes.set_ylabel("completion length, tokens")
    _legend_beside(axes)
    return figure


def data(found: Comparison) -> Figure:
    """Accuracy on each split against the share of the training data, by paradigm."""
    figure, axes = _figure(8.0)
    for name in dict.fromkeys(_base(row) for row in found.rows):
        rows = sorted((row for row in found.rows if _base(row) == name), key=lambda row: row.share)
        for number, split in enumerate(found.splits):
            shares = [found.cells[row.name][number].accuracy for row in rows]
            at = [100 * row.share for row in rows]
            errors = [
                [100 * (each.value - each.low) for each in shares],
                [100 * (each.high - each.value) for each in shares],
            ]
            style: dict[str, Any] = {
                "linestyle": ":" if is_ood(split) else "-",
                "marker": "o",
                "capsize": 3,
            }
            values = [100 * each.value for each in shares]
            axes.errorbar(at, values, yerr=errors, label=f"{name}, {split}", **style)
    axes.set_xlabel("training samples, % (logarithmic)")
    axes.set_xscale("log")
    axes.set_ylabel("accuracy, % (95 % interval)")
    _legend_beside(axes)
    return figure


def _name_rows(axes: Axes, found: Comparison) -> None:
    names = [row.name for row in found.rows]
    axes.set_xticks(range(len(names)), names, rotation=20, ha="right")


def _of_training(found: Comparison) -> Iterator[tuple[str, Figure]]:
    """Learning curves, reward terms and lengths of GRPO; the loss of SFT; if rows have them."""
    draw: Mapping[str, tuple[str, str, str]] = {
        "learning": ("grpo", "accuracy", "accuracy of GRPO's rollouts"),
        "training-lengths": ("grpo", "completions/mean_length", "completion length, tokens"),
        "sft-loss": ("sft", "loss", "loss of SFT"),
    }
    for name, (phase, metric, label) in draw.items():
        curves = {row.name: curve for row in found.rows if (curve := _curve(row, phase, metric))}
        if curves:
            yield name, _lines(curves, label)
    terms = list(dict.fromkeys(term for row in found.rows for term in _terms(row)))
    of_rows, styles = dict[str, Curve](), dict[str, str]()
    for number, row in enumerate(found.rows):
        for line, term in zip(cycle(("-", "--", ":", "-.")), terms):
            if curve := _curve(row, "grpo", term):
                name = f"{row.name}, {term.removeprefix(TERM)}"
                of_rows[name], styles[name] = curve, f"C{number % 10}{line}"
    if of_rows:
        yield "rewards", _lines(of_rows, "mean of a reward term", styles)


def _lines(
    curves: Mapping[str, Curve], label: str, styles: Mapping[str, str] = MappingProxyType({})
) -> Figure:
    """A line per curve. styles: of a name, in place of the next color."""
    figure, axes = _figure(8.0)
    for name, curve in curves.items():
        axes.plot(*zip(*curve, strict=True), styles.get(name, ""), label=name, linewidth=1.4)
    axes.set_xlabel("optimizer step")
    axes.set_ylabel(label)
    _legend_beside(axes)
    return figure


def _legend_beside(axes: Axes) -> None:
    """The legend to the right of the plot, where it covers nothing."""
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)


def _curve(row: Row, phase: str, metric: str) -> Curve:
    """A metric by step, a mean over seeds and over neighboring steps: at most `BINS` points."""
    by_step: dict[int, list[float]] = {}
    for measured in row.runs:
        if measured.stage == "start":
            continue
        for line in measured.run.metrics(phase):
            if isinstance(line.get(metric), int | float):
                by_step.setdefault(line["step"], []).append(line[metric])
    steps = sorted(by_step)
    size = -(-len(steps) // BINS) or 1
    groups = [steps[start : start + size] for start in range(0, len(steps), size)]
    return [(fmean(group), fmean(v for step in group for v in by_step[step])) for group in groups]


def _terms(row: Row) -> Sequence[str]:
    lines = [line for each in row.runs for line in each.run.metrics("grpo")[:1]]
    return sorted({key for line in lines for key in line if key.startswith(TERM)})


def _base(row: Row) -> str:
    return row.base or row.name


def _figure(width: float) -> tuple[Figure, Axes]:
    """An empty plot that needs no display, without pyplot's global state."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, 4.0), layout="constrained")
    axes = figure.add_subplot()
    axes.grid(visible=True, axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _svg(figure: Figure) -> str:
    """The figure as SVG, the same text for the same figure."""
    import matplotlib as mpl

    settings: Any = {"svg.hashsalt": "rft", "svg.fonttype": "none"}
    file = io.StringIO()
    with mpl.rc_context(settings):
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()
