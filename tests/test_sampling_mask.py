"""The loss of GRPO has the probabilities with which its rollouts were drawn."""

import logging
from types import SimpleNamespace

import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st
from trl import GRPOConfig

from rftcore.errors import ModelError
from rftcore.models.loading import load_model
from rftcore.testing.families import FAMILIES
from rftcore.training import sampling_mask
from rftcore.training.kept_tokens import kept, problem, processors
from rftcore.training.sampling_mask import SamplingMask

V = 12
LIMITS = [{"min_p": 0.2}, {"top_p": 0.7}, {"top_k": 3}, {"min_p": 0.05, "top_p": 0.9, "top_k": 6}]


def config(**fields):
    own = {"use_cpu": True, "bf16": False, "activation_checkpointing": False}
    return GRPOConfig(**own, **fields)


def probabilities(scores, top_k=0, top_p=1.0, min_p=0.0):
    """What sampling draws from, of one row of scores, in plain Python."""
    chances = dict(enumerate(scores.double().softmax(-1).tolist()))
    best = sorted(chances, key=chances.get, reverse=True)
    if top_k:
        best = best[:top_k]
    if top_p < 1:
        total, whole = 0.0, sum(chances[i] for i in best)
        for size, i in enumerate(best, 1):
            total += chances[i] / whole
            if total > top_p:
                best = best[:size]
                break
    best = [i for i in best if chances[i] >= min_p * chances[best[0]]]
    whole = sum(chances[i] for i in best)
    return {i: chances[i] / whole for i in best}


@pytest.mark.parametrize("limits", LIMITS)
@given(seed=st.integers(0, 10**6))
def test_log_q_is_that_of_the_distribution_that_is_sampled(limits, seed):
    scores = torch.randn(1, V, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    truth = probabilities(scores[0] * 3, **limits)
    found = {i: kept(scores * 3, torch.tensor([i]), processors(config(**limits))) for i in range(V)}

    for token, chance in truth.items():
        assert float(found[token].log_q.exp()) == pytest.approx(chance, rel=1e-9)
        assert int(found[token].size) == len(truth)
        assert float(found[token].log_p) == pytest.approx(
            float((scores * 3).log_softmax(-1)[0, token])
        )


def test_what_is_never_drawn_has_no_gradient():
    scores = torch.tensor([[3.0, 2.0, -4.0, 2.5]], requires_grad=True)
    kept(scores, torch.tensor([1]), processors(config(min_p=0.1))).log_q.sum().backward()

    assert scores.grad[0, 2] == 0
    assert (scores.grad[0, [0, 1, 3]] != 0).all()


def test_a_drawn_token_counts_though_rounding_leaves_it_out():
    scores = torch.tensor([[1.0, -2.0, -9.0]])
    found = kept(scores, torch.tensor([1]), processors(config(min_p=0.1)))

    assert int(found.size) == 2
    assert float(found.log_q) == pytest.approx(float(scores[0, :2].log_softmax(-1)[1]))


def trainer(model, setting="on", **fields):
    """What `install` reads of TRL's trainer, with TRL's own head in the model."""
    from trl.trainer.utils import add_fused_lm_head

    args = config(**fields)
    if not hasattr(model, "fused"):
        add_fused_lm_head(model, temperature=args.temperature, outputs=("log_probs", "entropy"))
    return SimpleNamespace(model=model, args=args)


@pytest.mark.parametrize("family", ["qwen2_vl", "llava", "gemma4", "cohere2_vision"])
@pytest.mark.parametrize("limits", [{"min_p": 0.5}, {"top_k": 5, "temperature": 0.7}])
def test_a_family_has_the_probabilities_of_its_own_logits(family, limits, tmp_path):
    transformers.set_seed(0)
    model = load_model(FAMILIES[family](tmp_path / family), device="cpu").model
    ids = torch.randint(5, 40, (2, 9))
    labels = ids.where(torch.arange(9) > 4, -100)
    plain = model(input_ids=ids).logits[:, :-1] / limits.get("temperature", 1.0)
    leave_out = processors(config(**limits))
    truth = [kept(row, ids[n, 1:], leave_out).log_q for n, row in enumerate(plain.float())]
    mask = SamplingMask("on")
    mask.install(trainer(model, **limits))
    told = model(input_ids=ids, labels=labels, fused_lm_head=True)

    assert mask.on
    assert told.log_probs[:, 4:].tolist() == [
        pytest.approx(row[4:].tolist(), abs=1e-5) for row in truth
    ]
    with mask.whole_vocabulary():
        whole = model(input_ids=ids, labels=labels, fused_lm_head=True)
    assert (whole.log_probs[:, 4:] < told.log_probs[:, 4:]).all()
    assert torch.equal(whole.entropy, told.entropy)


CANNOT = {
    "sampling keeps every token": {"min_p": None},
    "grpo.beta": {"beta": 0.04},
    "more than one update": {"num_iterations": 2},
    "grpo.repetition_penalty": {"repetition_penalty": 1.1},
    "typical_p": {"generation_kwargs": {"typical_p": 0.9}},
}


@pytest.mark.parametrize(("reason", "fields"), CANNOT.items())
def test_what_the_mask_cannot_be_for_is_named(reason, fields):
    assert problem(config(min_p=0.1)) is None
    assert reason in problem(config(**{"min_p": 0.1, **fields}))


@pytest.mark.parametrize(("setting", "fields"), [("off", {"min_p": 0.1}), ("auto", {})])
def test_nothing_changes_where_it_is_off_or_nothing_is_left_out(setting, fields):
    model = torch.nn.Linear(1, 1)
    SamplingMask(setting).install(SimpleNamespace(model=model, args=config(**fields)))
    assert model.forward == torch.nn.Linear.forward.__get__(model)


def test_auto_warns_and_on_fails_where_it_cannot_be(caplog):
    asked = SimpleNamespace(model=None, args=config(min_p=0.1, beta=0.04))
    with caplog.at_level(logging.WARNING, "rftcore"):
        SamplingMask("auto").install(asked)
    assert "the loss counts the whole vocabulary" in caplog.text
    assert "#what-sampling-leaves-out). Change that setting, or accept it by" in caplog.text
    with pytest.raises(ModelError, match=r"grpo\.beta"):
        SamplingMask("on").install(asked)


def test_a_head_that_is_not_known_is_left_to_trl(tmp_path, monkeypatch, caplog):
    model = load_model(FAMILIES["llava"](tmp_path / "m"), device="cpu").model
    monkeypatch.setattr(sampling_mask, "logits", lambda model, states: states[:, :V] * 7)
    mask, ids = SamplingMask("auto"), torch.arange(5, 12)[None].clamp(max=V - 1)
    mask.install(trainer(model, min_p=0.1))
    with caplog.at_level(logging.WARNING, "rftcore"):
        model(input_ids=ids, labels=ids, fused_lm_head=True)

    assert not mask.on
    assert "computes its logits in a way that rft does not know" in caplog.text
