"""Bars, and the numbers of a phase: those of all its sessions, however often it logs."""

import io
import types

import pytest

from rftcore import progress
from rftcore.progress import Bar, no_bars
from rftcore.training.callbacks import Progress

LOSSES = [8.0, 7.0, 3.0, 2.0, 1.0]


def session(before, start, every, last=5):
    """The lines of a phase after a session from step `start` on, as transformers logs them."""
    lines = list(before)
    progress = Progress("sft", lines.append, before=before, show=False)
    state = types.SimpleNamespace(
        global_step=start, max_steps=len(LOSSES), is_world_process_zero=True
    )
    progress.on_train_begin(None, state, None)
    logged = start
    for step in range(start + 1, last + 1):
        state.global_step = step
        if step % every == 0:
            mean = sum(LOSSES[logged:step]) / (step - logged)
            progress.on_log(None, state, None, logs={"loss": mean})
            logged = step
    own = sum(LOSSES[start:last]) / last
    progress.on_log(None, state, None, logs={"train_loss": own})
    return lines


@pytest.mark.parametrize("every", [1, 2, 3, 5, 100])
def test_the_mean_loss_is_that_of_every_step_however_often_a_line_is_logged(every):
    assert session([], 0, every)[-1]["train_loss"] == pytest.approx(sum(LOSSES) / len(LOSSES))


@pytest.mark.parametrize(("every", "known"), [(1, LOSSES), (2, LOSSES[:2] + LOSSES[3:])])
def test_a_resumed_mean_covers_the_steps_whose_loss_is_known(every, known):
    lines = session(session([], 0, every, last=3), 3, every)

    assert lines[-1]["train_loss"] == pytest.approx(sum(known) / len(known))


@pytest.mark.parametrize("more", [10.0, 420.0, 430.0])
@pytest.mark.parametrize(("phase", "before"), [("sft", 0.0), ("grpo", 420.0)])
def test_the_tokens_of_a_resumed_phase_are_those_of_all_sessions(phase, before, more):
    """TRL's count of SFT starts from zero in each session, GRPO's does not."""
    lines = [{"phase": phase, "step": 1, "num_tokens": 420.0}]
    progress = Progress(phase, lines.append, before=[*lines], show=False)
    state = types.SimpleNamespace(global_step=2, max_steps=2, is_world_process_zero=True)
    progress.on_log(None, state, None, logs={"num_tokens": before + more})

    assert lines[-1]["num_tokens"] == 420.0 + more


@pytest.mark.parametrize(
    ("total", "words", "line"),
    [
        (1, {"unit": "image"}, "1/1 image"),
        (9, {"unit": "image"}, "9/9 images"),
        (9, {"unit": "kB", "many": "kB"}, "9/9 kB"),
    ],
)
def test_the_unit_is_in_the_plural_for_many(total, words, line):
    with Bar(total, "drawing", stream=(out := io.StringIO()), **words) as bar:
        bar.update(total)

    assert out.getvalue() == f"drawing: {line}\n"


@pytest.mark.parametrize(("seconds", "most"), [(9, 1), (60, 7), (3600, 40), (36_000, 60)])
def test_lines_in_a_file_become_rarer_as_work_takes_longer(seconds, most, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with Bar(seconds, "training", "step", stream=(out := io.StringIO())) as bar:
        for _ in range(seconds):
            now[0] += 1.0
            bar.update()
    lines = out.getvalue().splitlines()

    assert len(lines) <= most
    assert lines[-1] == f"training: {seconds}/{seconds} steps"


def test_no_bar_is_shown_where_none_is_wanted():
    out = io.StringIO()
    with no_bars(), Bar(2, "drawing", "image", stream=out) as bar:
        bar.update(2)

    assert out.getvalue() == ""
