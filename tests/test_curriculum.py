"""Which prompts GRPO draws: TRL's order, without the prompts whose groups are settled."""

import random
import re
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from trl.trainer.utils import RepeatSampler

from rftcore.config import load_recipe
from rftcore.errors import RecipeError, TrainerError
from rftcore.scoring import Score
from rftcore.training.curriculum import Curriculum, Outcome
from rftcore.training.guards import none_passed_over
from rftcore.training.order import Order
from rftcore.training.settings_check import check_settings
from rftcore.training.visits import Visits, outcomes_of, visits_of
from rftcore.types import Parsed

G = 4
SOLVED, FAILED, MIXED = (4, False), (0, False), (2, False)
sizes = st.tuples(st.integers(1, 6), st.integers(0, 12)).map(lambda s: (s[0], s[0] + s[1]))


def made(size, prompts, kinds=("solved",), after=1, rest=2, outcomes=(), shuffle=True):
    curriculum = Curriculum(size, kinds, after=after, rest=rest, outcomes=outcomes)
    Order(size, prompts, seed=7, shuffle=shuffle, curriculum=curriculum)
    return curriculum


def play(curriculum, batches, earn):
    """Draw and score batches. The loader has drawn the next one when one is scored."""
    drawn = []
    for batch in range(curriculum.finished, batches):
        curriculum.drawn(batch + 1)
        drawn.append(curriculum.drawn(batch))
        curriculum.add([Outcome(row, earn(row)[0], G, earn(row)[1]) for row in drawn[-1]])
    return drawn


@pytest.mark.parametrize("shuffle", [True, False])
@given(shape=sizes)
def test_the_order_is_that_of_trl_in_every_epoch(shuffle, shape):
    prompts, size = shape
    theirs = RepeatSampler(range(size), 2, prompts, 3, shuffle=shuffle, seed=7)
    order = Order(size, prompts, seed=7, shuffle=shuffle)
    per_epoch = size // prompts
    for epoch in range(3):
        begin(order, epoch * per_epoch, per_epoch)
        positions = RepeatSampler(range(size), 2, prompts, 3, shuffle=False)
        assert [order.sample(position) for position in positions] == list(theirs)


def begin(order, step, steps):
    args, state = SimpleNamespace(gradient_accumulation_steps=2), SimpleNamespace(global_step=step)
    order.on_epoch_begin(args, state, None, train_dataloader=range(2 * steps))


@given(shape=sizes, kinds=st.sets(st.sampled_from(["solved", "failed", "flat"])))
def test_without_settled_prompts_the_order_is_the_plain_one(shape, kinds):
    prompts, size = shape
    plain = Order(size, prompts, seed=7, shuffle=True)

    drawn = play(made(size, prompts, kinds), 12, lambda row: MIXED)
    assert drawn == [plain.prompts_of(batch) for batch in range(12)]


@given(shape=sizes, after=st.integers(1, 3), rest=st.integers(1, 3), seed=st.integers(0, 99))
def test_a_batch_is_always_full_and_no_prompt_is_left_out_for_long(shape, after, rest, seed):
    (prompts, size), luck = shape, random.Random(seed)
    settled = {row for row in range(size) if luck.random() < 0.8}
    curriculum = made(size, prompts, after=after, rest=rest, shuffle=False)
    batches = 4 * (rest + 2) * size
    drawn = play(curriculum, batches, lambda row: SOLVED if row in settled else MIXED)

    assert all(len(set(rows)) == prompts for rows in drawn)
    reachable = size // prompts * prompts  # the rest is left out by TRL, too, without shuffling
    longest = (rest + 1) * size + 2  # batches without a prompt: it passes `rest` times
    for row in range(reachable):
        visits = [-1, *(b for b, rows in enumerate(drawn) if row in rows), batches]
        assert max(b - a for a, b in pairwise(visits)) <= longest


@given(shape=sizes, cut=st.integers(0, 15), seed=st.integers(0, 99))
def test_a_resumed_phase_draws_what_an_uninterrupted_one_does(shape, cut, seed):
    prompts, size = shape
    rates = random.Random(seed).choices([SOLVED, FAILED, MIXED], k=size)
    kinds = ("solved", "failed")
    whole = made(size, prompts, kinds)
    drawn = play(whole, 16, lambda row: rates[row])
    resumed = made(size, prompts, kinds, outcomes=whole._outcomes[:cut])

    assert play(resumed, 16, lambda row: rates[row]) == drawn[cut:]


def test_more_groups_have_something_to_learn_from():
    luck = random.Random(0)
    rates = [luck.choice([0.0, 0.5, 1.0]) for _ in range(300)]  # pass rates that do not change

    def earn(row):
        right = sum(luck.random() < rates[row] for _ in range(G))
        return right, right in (0, G)

    def share(kinds):
        drawn = play(made(300, 10, kinds, after=2, rest=4), 240, earn)
        return sum(rates[row] == 0.5 for rows in drawn[90:] for row in rows) / 1500

    assert 0.25 < share(()) < 0.42
    assert share(("flat",)) > 0.6
    assert 0.4 < share(("solved",)) < share(("solved", "failed"))


@pytest.mark.parametrize(
    ("outcome", "kinds"),
    [
        (Outcome(0, 4, 4, flat=True), {"solved", "flat"}),
        (Outcome(0, 0, 4, flat=False), {"failed"}),
        (Outcome(0, 2, 4, flat=True), {"flat"}),
        (Outcome(0, None, 4, flat=False), set()),
    ],
)
def test_what_a_group_is(outcome, kinds):
    assert {kind for kind in ("solved", "failed", "flat") if outcome.is_any([kind])} == kinds


def test_an_outcome_is_counted_over_the_completions_of_all_ranks():
    ranks = [[(3, True, 1.0), (3, False, 0.0)], [(3, None, None), (5, True, 1.0), (5, True, 1.0)]]

    found = outcomes_of(visit for rank in ranks for visit in rank)
    assert found == [Outcome(3, 1, 3, flat=False), Outcome(5, 2, 2, flat=True)]


def test_a_batch_that_would_need_unknown_outcomes_is_not_drawn():
    with pytest.raises(RuntimeError, match="batch 2 is drawn before batch 0 is scored"):
        made(8, 2).drawn(2)


def test_outcomes_of_other_prompts_than_those_drawn_are_an_error():
    with pytest.raises(RuntimeError, match=r"outcomes of prompts \{9\}"):
        made(8, 2).add([Outcome(9, 1, G, flat=False)])


def scores(*correct):
    return [Score(float(c), {}, Parsed("1"), c) for c in correct]


def test_each_step_is_recorded_once_with_what_was_passed_over():
    recorded = []
    curriculum = made(3, 1, after=1, rest=1, shuffle=False)
    visits = Visits(curriculum, recorded.append)
    for step in range(1, 6):
        (row,) = curriculum.drawn(step - 1)
        visits.scored([row, row], scores(True, True) if row == 0 else scores(True, False))
        visits.on_step_end(None, SimpleNamespace(global_step=step), None)
        visits.on_step_end(None, SimpleNamespace(global_step=step), None)

    assert [line["step"] for line in recorded] == [1, 2, 3, 4, 5]
    assert [line["prompts"][0]["row"] for line in recorded] == [0, 1, 2, 1, 2]
    assert [line["passed_over"] for line in recorded] == [0, 0, 0, 1, 0]
    assert recorded[0]["prompts"] == [{"row": 0, "right": 2, "of": 2, "flat": True}]


@pytest.mark.parametrize("line", [{}, {"prompts": [{"row": 1}]}, {"prompts": 3}])
def test_a_file_without_outcomes_is_an_error(line):
    recipe = load_recipe(("r", {"task": "t", "grpo": {"skip": ["flat"]}}))
    with pytest.raises(TrainerError, match=r"prompts.jsonl of the run does not hold outcomes"):
        visits_of(recipe, range(8), [line], print)


def test_outcomes_that_are_not_those_of_the_checkpoint_are_an_error():
    visits = Visits(made(8, 2), print)
    args, state = SimpleNamespace(num_iterations=1), SimpleNamespace(global_step=3)
    with pytest.raises(TrainerError, match="has 0 steps, and the checkpoint was written after 3"):
        visits.on_train_begin(args, state, None)


@given(shape=sizes, after=st.integers(1, 3), batches=st.integers(1, 40))
def test_a_run_that_is_said_to_pass_over_nothing_does_so(shape, after, batches):
    prompts, size = shape
    curriculum = made(size, prompts, after=after)
    play(curriculum, batches, lambda row: SOLVED if row % 2 else MIXED)
    passed = [curriculum.passed_over(batch) for batch in range(batches)]

    assert not (curriculum.idle(batches) and any(passed))
    if told := re.search(r"grpo.skip_after=(\d+)", curriculum.idle(batches)):
        assert not made(size, prompts, after=int(told[1])).idle(batches)
    assert bool(curriculum.idle(batches)) == (batches <= after * (size // prompts))


def test_a_run_too_short_to_pass_over_a_prompt_is_warned_of(caplog):
    visits = Visits(made(1440, 16, after=2), print)
    state = SimpleNamespace(global_step=0, max_steps=150, is_world_process_zero=True)
    visits.on_train_begin(SimpleNamespace(num_iterations=1), state, None)

    (line,) = caplog.messages
    assert "after 2 such groups in a row" in line
    assert "draws each of its 1,440 prompts 1.7 times; set grpo.skip_after=1, or take" in line


@pytest.mark.parametrize(("passed", "told"), [([0, 0], True), ([0, 3], False), ([], False)])
def test_a_phase_that_passed_over_no_prompt_says_so_at_its_end(passed, told):
    found = none_passed_over("grpo", [{"loss": 0.1}, *({"prompts/passed_over": n} for n in passed)])

    assert bool(found) == told


def test_data_workers_that_read_ahead_are_refused():
    settings = {"skip": ["flat"], "dataloader_num_workers": 2}
    recipe = load_recipe(("r", {"task": "t", "sft": {"enabled": False}, "grpo": settings}))
    with pytest.raises(RecipeError, match=r"grpo.dataloader_num_workers = 2 .*grpo.skip depends"):
        check_settings(recipe)


def test_data_workers_read_the_epoch_that_was_set():
    order = Order(6, 2, seed=0, shuffle=True)
    begin(order, 3, 3)
    with torch.multiprocessing.get_context("fork").Pool(1) as pool:
        there = pool.apply_async(order.sample, (0,)).get(60)

    assert there == order.sample(0) == order.prompts_of(3)[0]
