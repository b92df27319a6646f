"""What ends a phase, and what is reported of one that learned nothing."""

import math
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rftcore.errors import TrainerError
from rftcore.signals import StopRequest
from rftcore.training.guards import Finite, Stopping, all_finite, checksums, findings, unchanged

bad = st.sampled_from([math.nan, math.inf, -math.inf])


@given(value=bad, at=st.integers(0, 11), shape=st.sampled_from([(12,), (3, 4), (2, 2, 3)]))
def test_one_value_that_is_not_finite_is_found_wherever_it_is(value, at, shape):
    tensor = torch.zeros(12)
    assert all_finite([tensor, torch.ones(shape), torch.empty(0)])
    tensor[at] = value

    assert not all_finite([torch.ones(3), tensor.reshape(shape)])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_large_values_are_finite(dtype):
    assert all_finite([torch.full((3,), torch.finfo(dtype).max, dtype=dtype)])


def state(step=4, last=10):
    return SimpleNamespace(global_step=step, max_steps=last, is_world_process_zero=True)


def model(weight=1.0, gradient=0.5):
    made = torch.nn.Linear(2, 2)
    for parameter in made.parameters():
        parameter.data.fill_(weight)
        parameter.grad = torch.full_like(parameter, gradient)
    return made


def finite(good=""):
    return Finite("grpo", lambda: good)


PLAIN, SCALED = SimpleNamespace(fp16=False), SimpleNamespace(fp16=True)


@given(value=bad)
def test_a_gradient_that_is_not_finite_ends_the_phase_before_it_reaches_a_weight(value):
    with pytest.raises(TrainerError, match=r"grpo step 5: a gradient .* No checkpoint"):
        finite().on_pre_optimizer_step(PLAIN, state(), None, model=model(gradient=value))


@given(value=bad)
def test_a_weight_that_is_not_finite_ends_the_phase_and_names_the_last_good_one(value):
    with pytest.raises(TrainerError, match=r"step 4: a weight .* checkpoint is runs/x\."):
        finite("runs/x").on_step_end(PLAIN, state(), None, model=model(weight=value))


@given(value=bad, name=st.sampled_from(["loss", "grad_norm"]))
def test_a_logged_loss_or_norm_that_is_not_finite_ends_the_phase(value, name):
    with pytest.raises(TrainerError, match="not finite"):
        finite().on_log(PLAIN, state(), None, logs={name: value})


def test_a_loss_scaler_may_meet_gradients_that_overflow():
    finite().on_pre_optimizer_step(SCALED, state(), None, model=model(gradient=math.inf))
    finite().on_log(SCALED, state(), None, logs={"grad_norm": math.inf})


def test_finite_numbers_pass():
    finite().on_pre_optimizer_step(PLAIN, state(), None, model=model())
    finite().on_step_end(PLAIN, state(), None, model=model())
    finite().on_log(PLAIN, state(), None, logs={"loss": 0.0, "grad_norm": 1e30, "note": "x"})


LEARNS = {
    "loss": 0.1,
    "reward": 0.5,
    "frac_reward_zero_std": 0.5,
    "grad_norm": 1.0,
    "completions/clipped_ratio": 0.2,
    "learning_rate": 1e-5,
}


@pytest.mark.parametrize(
    ("idle", "found"),
    [
        ({"frac_reward_zero_std": 1.0, "reward": 0.0}, "all earned 0: no completion"),
        ({"frac_reward_zero_std": 1.0, "reward": 2.0}, "a larger grpo.group_size"),
        ({"completions/clipped_ratio": 1.0}, "raise grpo.max_completion_length"),
        ({"completions/clipped_ratio": 1.0, "frac_reward_zero_std": 1.0}, "max_completion_length"),
        ({"grad_norm": 0.0}, "the gradient was zero at every step"),
        ({"learning_rate": 0.0}, "the learning rate was zero at every step"),
    ],
)
def test_a_phase_that_learned_nothing_reports_why_and_what_to_set(idle, found):
    closing = {"train_loss": 0.1}
    (finding,) = findings("grpo", [{**LEARNS, **idle}, {**LEARNS, **idle}, closing])

    assert found.lower() in finding.lower()
    assert findings("grpo", [{**LEARNS, **idle}, LEARNS, closing]) == []


def test_a_phase_that_logs_no_step_is_judged_by_its_closing_line():
    closing = {"train_loss": 0.0, "reward": 0.0, "frac_reward_zero_std": 1.0}

    assert "all earned 0" in str(findings("grpo", [closing]))
    assert findings("grpo", [LEARNS, closing]) == []


@pytest.mark.parametrize("reward", [{"reward": math.nan}, {"reward": None}, {}])
def test_a_phase_in_which_every_reward_failed_names_that(reward):
    line = {"loss": 0.0, "frac_reward_zero_std": 0.0, "grad_norm": 0.0, **reward}

    assert "because its rewards failed" in str(findings("grpo", [line, line]))
    assert "because its rewards failed" not in str(findings("sft", [line, line]))
    assert "the gradient was zero" in str(findings("grpo", [line, {**line, "reward": 0.0}]))


def test_a_phase_without_lines_has_no_findings():
    assert findings("sft", []) == findings("sft", [{"train_loss": 1.0}]) == []


def test_a_change_of_one_weight_is_seen():
    one = model()
    before = checksums(one)
    assert unchanged(before, checksums(one))
    one.weight.data[0, 0] += 1e-7

    assert not unchanged(before, checksums(one))


@pytest.mark.parametrize(
    ("received", "step", "every", "stops"),
    [
        (False, 4, 1, False),
        (True, 4, 1, True),
        (True, 5, 2, False),  # rollouts are used once more
        (True, 6, 2, True),
        (True, 10, 1, False),  # it was the last step: the phase ends by itself
    ],
)
def test_a_request_to_stop_saves_where_the_phase_can_be_continued(received, step, every, stops):
    request, control = StopRequest(), SimpleNamespace(should_save=False, should_training_stop=False)
    request.received = received
    stopping = Stopping(request, every)
    stopping.on_step_end(None, state(step), control)

    assert stopping.stopped == control.should_save == control.should_training_stop == stops
