"""What a plan found, as data and as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from typing import Any

from rftcore.columns import table
from rftcore.planning.advice import Advice
from rftcore.planning.engines import Peak
from rftcore.planning.forecast import Forecast
from rftcore.planning.probe import Timing, duration
from rftcore.planning.schedule import Schedule
from rftcore.planning.tokens import BAR, Lengths, histogram
from rftcore.planning.tracing import Traced

GB = 10**9
NARROW = 16  # tokens between the shortest and the longest row, for which no histogram is shown


@dataclass(frozen=True)
class PhasePlan:
    """A phase. traced: its memory, or None and the reason in `not_traced`."""

    phase: str
    lengths: Lengths
    schedules: Sequence[Schedule]
    traced: Traced | None
    not_traced: str = ""

    @property
    def peak(self) -> int | None:
        """The peak of one process, in bytes."""
        one = self.traced and self.traced.peaks["ddp"].get(1)
        return one.total if one else None


@dataclass
class Report:
    """All that `rft plan` prints. notes: what its numbers assume. memory: of a device, in bytes."""

    task: str
    model: str
    device: str
    dtype: str
    compute: str
    parameters: Mapping[str, int]
    phases: list[PhasePlan]
    notes: list[str] = field(default_factory=list)
    memory: int | None = None
    advice: list[Advice] = field(default_factory=list)
    timings: list[Timing] = field(default_factory=list)
    forecast: Forecast | None = None
    assumed: str = ""  # why the plan is for this device, if it is not this machine's

    def as_data(self) -> dict[str, Any]:
        """For JSON; rows are summed up."""
        data = asdict(self)
        for phase, made in zip(data["phases"], self.phases, strict=True):
            phase["lengths"] = _lengths_data(made.lengths)
        if self.forecast:
            data["forecast"] = self.forecast.as_data()
        return data

    def as_text(self) -> str:
        """For a terminal."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        millions = " + ".join(f"{name} {_count(n)}" for name, n in self.parameters.items() if n)
        yield f"task {self.task}, model {self.model}"
        if self.assumed:
            yield f"note: {self.assumed}"
        yield f"parameters: {_count(sum(self.parameters.values()))} ({millions})"
        yield f"device: {self.device}; weights {self.dtype}, computation {self.compute}"
        for phase in self.phases:
            yield f"\n== {phase.phase} =="
            yield from _phase(phase, self.memory)
        if self.timings:
            yield "\n== time, one process on this machine =="
            yield from _times(self.timings)
        if self.forecast:
            yield "\n== signal =="
            yield from self.forecast.lines()
        yield from _advice(self.phases, self.advice, self.memory)
        if self.notes:
            yield ""
            yield from (f"note: {note}" for note in self.notes)


def size_text(size: float) -> str:
    """Bytes as "12.3 GB", or in MB below a tenth of one."""
    return f"{size / GB:.1f} GB" if size >= GB / 10 else f"{size / 10**6:.1f} MB"


def _count(number: float) -> str:
    for size, unit in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if number >= size:
            return f"{number / size:.2f}{unit}"
    return str(int(number))


def _phase(plan: PhasePlan, memory: int | None) -> Iterator[str]:
    yield from _lengths(plan.lengths)
    if plan.schedules:
        yield from _schedules(plan.schedules)
    if plan.traced is not None:
        yield from _memory(plan.traced, memory)
    else:
        yield f"memory: unknown, {plan.not_traced}"


def _lengths(lengths: Lengths) -> Iterator[str]:
    read = len(lengths.rows)
    part = "" if read == lengths.size else f", {read} of them read (--samples 0 reads all)"
    yield f"split {lengths.split}: {lengths.size} rows{part}, {lengths.mean:.0f} tokens on average"
    for name in ("image", "text", "target"):
        numbers = [getattr(row, name) for row in lengths.rows]
        if any(numbers) and max(numbers) - min(numbers) < NARROW:
            yield f"  {name} tokens: {_span(min(numbers), max(numbers))}"
        elif any(numbers):
            yield f"  {name} tokens"
            yield from _bars(numbers)
    for row in lengths.most():
        target = f" + {row.target} target" if row.target else ""
        yield f"  longest: {row.origin}: {row.whole} = {row.image} image + {row.text} text{target}"


def _span(low: int, high: int) -> str:
    return str(low) if low == high else f"{low} to {high}"


def _bars(numbers: list[int]) -> Iterator[str]:
    bins = histogram(numbers)
    most, width = max(count for _, _, count in bins), len(str(bins[-1][1]))
    for low, high, count in bins:
        span = f"{low:>{width}}" if low == high else f"{low:>{width}}-{high:<{width}}"
        bar = "#" * -(-count * BAR // most)
        yield f"    {span:<{2 * width + 1}} {bar}{' ' if bar else ''}{count}"


def _schedules(schedules: Sequence[Schedule]) -> Iterator[str]:
    rows: list[tuple[str, ...]] = [
        ("processes", "micro_batch", "accumulated", "steps", "micro_batch may be")
    ]
    for each in schedules:
        choices = ", ".join(map(str, each.divisors)) or "-"
        if each.fault:
            rows.append((str(each.processes), "-", "-", "-", each.fault))
        else:
            numbers = (each.processes, each.micro, each.accumulation, each.steps)
            rows.append((*map(str, numbers), choices))
    yield table(rows)


def _memory(traced: Traced, memory: int | None) -> Iterator[str]:
    state = traced.state
    yield f"{_count(state.trainable)} of {_count(state.parameters)} parameters trained"
    yield "one process, longest rows:"
    yield table(
        [
            ("  moment", "beside weights and optimizer", "of which"),
            *(("  " + m.name, size_text(m.peak), _parts(m.parts)) for m in traced.moments),
        ]
    )
    if one := traced.peaks["ddp"].get(1):
        yield f"  largest: {one.moment} ({_parts(one.parts)})"
    counts = sorted({n for found in traced.peaks.values() for n in found})
    rows: list[tuple[str, ...]] = [
        ("  peak per device", *(f"{n} process{'es' * (n > 1)}" for n in counts))
    ]
    for engine, found in traced.peaks.items():
        rows.append((f"  {engine}", *(_fits(found.get(n), memory) for n in counts)))
    yield table(rows)


def _fits(peak: Peak | None, memory: int | None) -> str:
    if peak is None:
        return "-"
    over = memory is not None and peak.total > memory
    return size_text(peak.total) + (" !" if over else "")


def _parts(parts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {size_text(size)}" for name, size in parts.items() if size)


def _times(timings: Sequence[Timing]) -> Iterator[str]:
    rows: list[tuple[str, ...]] = [("  phase", "measured", "steps", "estimate")]
    for each in timings:
        spread = f"{each.seconds:.3g} s per {each.unit} ({each.low:.3g} to {each.high:.3g})"
        rows.append((f"  {each.phase}", spread, str(each.count), duration(each.total)))
    yield table(rows)
    yield f"  together about {duration(sum(each.total for each in timings))}"


def _advice(
    phases: Sequence[PhasePlan], advice: Sequence[Advice], memory: int | None
) -> Iterator[str]:
    """Per phase that does not fit: the best setting in one line, then all of them."""
    if memory is None:
        return
    found = {phase: list(each) for phase, each in groupby(advice, key=lambda one: one.phase)}
    for plan in phases:
        if plan.peak is None or plan.peak <= memory:
            continue
        over = f"\n{plan.phase} does not fit: {size_text(plan.peak)} of {size_text(memory)}"
        if plan.phase not in found:
            yield f"{over}, and no single setting helps: take more processes with fsdp or zero-3"
            continue
        best, *_ = found[plan.phase]
        less = f"{size_text(best.peak)}, {size_text(best.before - best.peak)} less"
        verdict = "it then fits" if best.fits else "still too much"
        yield f"{over}. --set {best.setting} helps most: {less}; {verdict}"
        fits = {True: "fits", False: "too much"}
        rows = [
            (f"  --set {a.setting}", size_text(a.peak), fits[a.fits]) for a in found[plan.phase]
        ]
        yield table(rows)


def _lengths_data(lengths: Lengths) -> dict[str, Any]:
    names = ("image", "text", "target")
    return {
        "split": lengths.split,
        "rows": lengths.size,
        "read": len(lengths.rows),
        "mean": lengths.mean,
        "tokens": sum(row.whole for row in lengths.rows),
        "histogram": {n: histogram([getattr(row, n) for row in lengths.rows]) for n in names},
        "longest": [asdict(row) for row in lengths.most()],
    }
