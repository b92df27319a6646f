"""The checks: steps in, a finding or None out. Each names its fault, numbers and settings.

A share is reported only if its interval, and not its value alone, is on the wrong side of a
limit. The limits say what matters in practice; the intervals keep chance out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rftcore.runs import ROLLOUTS
from rftcore.training.signal.facts import Facts, Finding
from rftcore.training.signal.gradients import (
    Agreement,
    rollouts_for_half,
    signal_share,
    signal_to_noise,
)
from rftcore.training.signal.steps import Share, Step, accuracy, ends, mean, share, span, spread

WINDOW = 10  # lines of the first and of the latest steps
FIRST = 20  # lines that count as the first steps, for what compares with greedy decoding
LOST = 0.1  # share of the greedy accuracy that sampling may lose
SLIPS = 0.05  # share of malformed completions beyond that of greedy decoding
SILENT = 0.5  # share of groups without signal
CUT = 0.1  # share of completions that are cut off
FELL = 0.2  # share of the first accuracy that a policy may lose while it trains
LONGER = 1.5  # factor by which the mean length may change
SURE = 3.0  # quantile for what is checked again and again, about 0.3 % of either side
GROUPS = 40  # groups in which a term must never differ


def sampled(steps: Sequence[Step], facts: Facts) -> Finding | None:
    """Sampled accuracy of the first steps far below greedy accuracy."""
    first = steps[:FIRST]
    drawn = accuracy(first, facts.group, most=facts.rows)
    greedy = facts.greedy
    if drawn is None or greedy is None:
        return None
    allowed = Share((1 - LOST) * greedy.accuracy, greedy.n)
    if allowed.above(drawn)[0] <= 0:
        return None
    best = Share(greedy.accuracy, greedy.n)
    low, high = best.above(drawn)
    return Finding(
        "sampled-far-below-greedy",
        f"sampled accuracy on rl is {drawn} in {span(first)}, greedy accuracy on {greedy.split} "
        f"was {best}: sampling loses {100 * (best.value - drawn.value):.0f} points "
        f"[{100 * low:.0f}, {100 * high:.0f}], so rewards measure slips. {facts.cut_the_tail()}",
        ("grpo.min_p", "grpo.top_p", "grpo.temperature"),
        steps[-1].number,
        {"sampled": drawn.value, "greedy": best.value, "low": low, "high": high},
    )


def malformed(steps: Sequence[Step], facts: Facts) -> Finding | None:
    """Rollouts without an answer that were not cut off, far more than with greedy decoding."""
    first, greedy = steps[:FIRST], facts.greedy
    drawn = _malformed(first, facts)
    if drawn is None or greedy is None:
        return None
    best = Share(greedy.malformed, greedy.n)
    low, high = drawn.above(best)
    if low <= SLIPS:
        return None
    return Finding(
        "malformed-completions",
        f"no answer could be read in {drawn} of the rollouts of {span(first)} (those cut off not "
        f"counted), and in {best} of the greedy completions on {greedy.split}: the form is "
        f"learned, and sampling slips. {facts.cut_the_tail()}",
        ("grpo.min_p", "grpo.top_p", "grpo.temperature"),
        steps[-1].number,
        {"sampled": drawn.value, "greedy": best.value, "low": low, "high": high},
    )


def _malformed(steps: Sequence[Step], facts: Facts) -> Share | None:
    unread = share(steps, "unparsed", most=facts.rows)
    cut = mean(steps, "completions/clipped_ratio")
    return unread and Share(max(0.0, unread.value - (cut or 0.0)), unread.n)


def no_signal(steps: Sequence[Step], facts: Facts) -> Finding | None:
    """Most groups have equal rewards throughout, so they have no advantage."""
    recent = steps[-WINDOW:]
    silent = share(recent, "groups/no_signal")
    if silent is None or silent.interval()[0] <= SILENT or silent.value == 1:
        return None  # at 1 it is `guards.findings` that reports it
    right = mean(recent, "groups/all_right") or 0.0
    wrong = mean(recent, "groups/all_wrong") or 0.0
    if right > wrong:
        advice = "Take harder samples into rl: most are solved already"
        settings = ["grpo.samples"]
    else:
        advice = "Take easier samples into rl, or more of sft.samples: most are never solved"
        settings = ["sft.samples"]
    return Finding(
        "groups-without-signal",
        f"in {silent} of the groups of {span(recent)} all {facts.group} completions earned the "
        f"same reward, and such a group teaches nothing; all were right in {100 * right:.0f} % of "
        f"the groups, and wrong in {100 * wrong:.0f} %. {advice}. A larger "
        f"grpo.group_size (now {facts.group}) differs more often",
        ("grpo.group_size", *settings),
        steps[-1].number,
        {"no_signal": silent.value, "all_right": right, "all_wrong": wrong},
    )


def truncated(steps: Sequence[Step], facts: Facts) -> Finding | None:
    """Many completions end at the token limit."""
    recent = steps[-WINDOW:]
    cut = share(recent, "completions/clipped_ratio")
    if cut is None or cut.interval()[0] <= CUT or cut.value == 1:
        return None
    return Finding(
        "truncated-completions",
        f"{cut} of the completions of {span(recent)} were cut off, and what is cut off seldom has "
        f"an answer. Raise {facts.now('max_completion_length')}, or teach the end of turn by "
        "more SFT",
        ("grpo.max_completion_length",),
        steps[-1].number,
        {"truncated": cut.value},
    )


def noise(steps: Sequence[Step], facts: Facts) -> Finding | None:
    """The gradients of the first steps agree so little that the whole phase is mostly noise."""
    found = Agreement.of(steps)
    batches = facts.steps / facts.reuse
    if found is None or signal_to_noise(found.high) * batches >= 1:
        return None
    rollouts = facts.prompts * facts.group
    need = [rollouts_for_half(c, rollouts) for c in (found.cosine, found.high)]
    enough = f"about {_rounded(need[0])}" if found.cosine > 0 else "more than can be estimated"
    if found.high > 0:
        enough += f", and at least {_rounded(need[1])},"
    return Finding(
        "gradient-noise",
        f"the gradients of the first steps hardly agree: their cosine is {found.cosine:.4f} "
        f"[{found.low:.4f}, {found.high:.4f}] ({found.pairs} pairs), so at most "
        f"{100 * signal_share(found.high, batches):.0f} % of what all {facts.steps} steps add up "
        f"to is signal ({batches * rollouts:,.0f} rollouts; {enough} would make it half). Raise "
        f"grpo.prompts_per_step (now {facts.prompts}) or grpo.max_steps (now {facts.steps} "
        "steps), or draw better rollouts",
        ("grpo.prompts_per_step", "grpo.max_steps"),
        steps[-1].number,
        {"cosine": found.cosine, "low": found.low, "high": found.high},
    )


def _rounded(count: float) -> str:
    """A number with two significant digits: "8,500"."""
    return f"{float(f'{count:.2g}'):,.0f}"


def collapse(steps: Sequence[Step], facts: Facts) -> Finding | None:
    """Sampled accuracy well below that of the first steps."""
    first, last = ends(steps, FIRST)
    before, now = accuracy(first, facts.group), accuracy(last, facts.group)
    if before is None or now is None:
        return None
    if Share((1 - FELL) * before.value, before.n).above(now, SURE)[0] <= 0:
        return None
    low, high = before.above(now)
    entropy = [mean(part, "entropy") for part in (first, last)]
    change = (
        f", entropy from {entropy[0]:.2f} to {entropy[1]:.2f}"
        if entropy[0] is not None and entropy[1] is not None
        else ""
    )
    return Finding(
        "policy-collapse",
        f"sampled accuracy fell from {before} in {span(first)} to {now} in {span(last)}, by "
        f"{100 * (before.value - now.value):.0f} points [{100 * low:.0f}, {100 * high:.0f}]"
        f"{change}: the policy gets worse while it trains. Lower "
        f"{facts.now('learning_rate')}, or set more of {facts.now('warmup_steps')}",
        ("grpo.learning_rate", "grpo.warmup_steps"),
        steps[-1].number,
        {"before": before.value, "now": now.value, "low": low, "high": high},
    )


def constant_term(steps: Sequence[Step], facts: Facts) -> Finding | None:
    """A weighted reward term that never differs within a group, and is not always 1."""
    idle = list(_idle(steps, facts))
    if not idle or mean(steps, "groups/no_signal") == 1:  # `guards.findings` reports the latter
        return None
    shown = ", ".join(f"{name} (mean {value:.3g})" for name, value in idle)
    return Finding(
        "a-constant-reward",
        f"the completions of a group never differed in {shown} in {span(steps)}, so the term has "
        "no effect. If the policy never earns it, make it easier to earn in part or teach it by "
        "more SFT; else check the reward, or set its weight to 0",
        tuple(f"rewards.{name}.weight" for name, _ in idle),
        steps[-1].number,
        dict(idle),
    )


def _idle(steps: Sequence[Step], facts: Facts) -> Iterator[tuple[str, float]]:
    for name, weight in facts.weights.items():
        varies = share(steps, f"reward_varies/{name}")
        value = mean(steps, f"reward/{name}")
        if not weight or varies is None or value is None or varies.n < GROUPS:
            continue
        if varies.value == 0 and value != 1:
            yield name, value


def length(steps: Sequence[Step], facts: Facts) -> Finding | None:
    """The mean length of completions changed by more than half."""
    first, last = ends(steps, FIRST)
    name = "completions/mean_length"
    before, now = spread(first, name), spread(last, name)
    if before is None or now is None or min(before[0], now[0]) <= 0:
        return None
    gap = abs(now[0] - before[0])
    factor = max(now[0] / before[0], before[0] / now[0])
    half = SURE * (before[1] + now[1]) ** 0.5
    if factor < LONGER or gap <= half:
        return None
    grew = now[0] > before[0]
    advice = (
        f"Read {ROLLOUTS}: if they ramble, add the reward `length` or set "
        f"{facts.now('loss_type')} to dr_grpo; else raise {facts.now('max_completion_length')}"
        if grew
        else f"Read {ROLLOUTS}: if they leave out reasoning, reward it; a positive "
        f"{facts.now('beta')} keeps the policy near its start"
    )
    return Finding(
        "length-drift",
        f"completions {'grew' if grew else 'shrank'} from {before[0]:.0f} tokens in {span(first)} "
        f"to {now[0]:.0f} in {span(last)} ({now[0] - before[0]:+.0f} with an interval of "
        f"{half:.0f} on either side). {advice}",
        ("grpo.max_completion_length", "grpo.loss_type") if grew else ("grpo.beta",),
        steps[-1].number,
        {"before": before[0], "now": now[0], "half": half},
    )
