"""Our decode loop gives the tokens of transformers' loop; rows leave the batch where they end."""

import inspect
import io

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as pil
from transformers.cache_utils import DynamicLayer

from rftcore.models import decode_loop
from rftcore.models.cache_name import CACHE, cache_of
from rftcore.models.decode_loop import GrowingLayer, choose, compact
from rftcore.models.encoding import encode
from rftcore.models.loading import load_model
from rftcore.testing.families import tiny_qwen2_vl
from rftcore.types import Image, Prompt

rft_nano = pytest.importorskip("rft_nano")
NEW = 12
QUESTIONS = ["How many cubes are there?", "Add 2 cubes. How many cubes are there now?", "How many?"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {"nano": rft_nano.nano(), "qwen2_vl": tiny_qwen2_vl(tmp_path_factory.mktemp("m") / "q")}


def square(number):
    data = io.BytesIO()
    pil.new("RGB", (56, 56), (80 * number, 30, 200)).save(data, "PNG")
    return Image.from_bytes(data.getvalue())


@pytest.fixture(params=["nano", "qwen2_vl"])
def model_and_inputs(folders, request):
    """A model, and prompts of three lengths; rows end after 1, 3, ... tokens."""
    policy = load_model(folders[request.param], device="cpu")
    inputs = encode(policy, [Prompt(q, (square(n),)) for n, q in enumerate(QUESTIONS)])
    model = policy.model.eval()
    model.generation_config.eos_token_id = None
    start = inputs["input_ids"].shape[1]
    free = model.generate(**inputs, max_new_tokens=NEW, do_sample=False)[:, start:].tolist()
    model.generation_config.eos_token_id = [free[0][0], free[1][2]]
    model.generation_config.pad_token_id = 0
    return model, inputs


def test_greedy_tokens_are_those_of_the_plain_loop(model_and_inputs, monkeypatch):
    model, inputs = model_and_inputs
    arguments = {**inputs, "max_new_tokens": NEW, "do_sample": False}
    monkeypatch.setattr(decode_loop, "ROOM", 3)  # so that it is outgrown
    monkeypatch.setattr(decode_loop, "STEP", 1)
    calls = []
    model.register_forward_pre_hook(
        lambda _, args, given: calls.append(len(given["input_ids"])), with_kwargs=True
    )
    mine = decode_loop.generate(model, model.generate, arguments)

    assert (calls[0], calls[-1] < 3) == (3, True)  # rows have left
    assert torch.equal(mine, model.generate(**arguments))


@pytest.mark.parametrize("step", [1, 2])
def test_a_row_draws_the_same_tokens_whichever_rows_are_beside_it(
    model_and_inputs, step, monkeypatch
):
    model, inputs = model_and_inputs
    monkeypatch.setattr(decode_loop, "STEP", step)
    start, written = inputs["input_ids"].shape[1], []
    arguments = {**inputs, "max_new_tokens": NEW, "do_sample": True, "top_k": 0}
    model.generation_config.eos_token_id = None
    for _ in range(2):
        torch.manual_seed(1)
        written.append(decode_loop.generate(model, model.generate, arguments)[:, start:])
        ends = [int(written[0][0, 1]), int(written[0][1, 4])]
        model.generation_config.eos_token_id = ends
    free, stopped = written
    stopped = torch.nn.functional.pad(stopped, (0, free.shape[1] - stopped.shape[1]))
    over = torch.isin(free, torch.tensor(ends)).cumsum(1)
    going = over - torch.isin(free, torch.tensor(ends)).long() == 0

    assert not going.all()
    assert torch.equal(stopped[going], free[going])


@pytest.mark.parametrize(
    "more",
    [
        {"num_beams": 2},
        {"return_dict_in_generate": True},
        {"use_cache": False},
        {"cache_implementation": "static", "disable_compile": True},
        {"encoder_repetition_penalty": 1.5},
        {"stopping_criteria": [lambda ids, scores, **_: torch.ones(len(ids), dtype=torch.bool)]},
    ],
)
def test_what_the_loop_does_not_know_is_left_to_the_plain_one(model_and_inputs, more):
    model, inputs = model_and_inputs
    arguments = {**inputs, "max_new_tokens": 3, "do_sample": False, **more}
    mine, plain = (
        decode_loop.generate(model, model.generate, arguments),
        model.generate(**arguments),
    )

    assert torch.equal(*(getattr(each, "sequences", each) for each in (mine, plain)))


def test_a_token_is_drawn_with_its_probability():
    scores = torch.tensor([0.5, float("-inf"), 2.0, -1.0, float("-inf")])
    drawn = choose(scores.repeat(100_000, 1), torch.rand(100_000, 1))
    expected = 100_000 * scores.softmax(0)

    counts = torch.bincount(drawn, minlength=5)
    assert (counts - expected).abs().le(5 * expected.sqrt()).all()


@given(st.floats(0, 1, width=32), st.lists(st.floats(-5, 5, width=32), min_size=2, max_size=6))
def test_a_token_of_probability_0_is_never_drawn(uniform, scores):
    scores = torch.tensor([[float("-inf"), *scores, float("-inf")]])

    assert 0 < choose(scores, torch.tensor([[uniform]])) < scores.shape[1] - 1


def test_scores_that_are_no_distribution_are_an_error_as_in_torch():
    scores = torch.tensor([[1.0, float("nan")]])
    with pytest.raises(RuntimeError, match="probability tensor contains"):
        choose(scores, torch.tensor([[0.5]]))


@given(st.lists(st.booleans(), min_size=1, max_size=9), st.data())
def test_compacting_keeps_the_rows_that_go_on(ended, data):
    size = data.draw(st.integers(max(1, ended.count(False)), len(ended)))
    kept = compact(torch.tensor(ended), size).tolist()

    assert len({*kept}) == len(kept) == size
    assert {row for row, over in enumerate(ended) if not over} <= {*kept}


@settings(deadline=None)
@given(st.lists(st.integers(0, 3), max_size=8), st.randoms(use_true_random=False))
def test_a_growing_layer_holds_what_a_dynamic_one_holds(steps, random):
    mine, plain, rows = GrowingLayer(), DynamicLayer(), 4
    for leaving in [0, *steps]:
        states = torch.randn(2, rows, 2, 1 if mine.is_initialized else 5, 3)
        both = mine.update(*states), plain.update(*states)
        assert all(map(torch.equal, *both))
        ended = torch.tensor([n < min(leaving, rows - 1) for n in range(rows)])
        ended = ended[torch.tensor(random.sample(range(rows), rows))]
        rows -= int(ended.sum())
        for layer in (mine, plain):
            layer.batch_select_indices(compact(ended, rows))
        assert torch.equal(mine.keys, plain.keys)
        assert torch.equal(mine.values, plain.values)


def test_models_and_their_outputs_know_the_cache_by_one_name(tmp_path):
    model = load_model(tiny_qwen2_vl(tmp_path / "tiny")).model
    ids = torch.tensor([[1, 2]])
    output = model(input_ids=ids)
    again = model(input_ids=ids[:, :1], **{CACHE: cache_of(output)})

    assert CACHE in inspect.signature(model.forward).parameters
    assert cache_of(again).get_seq_length() == 3
