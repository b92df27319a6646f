"""The numbers of a phase are those of all its sessions, however often it logs."""

import types

import pytest

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
