"""A policy's weights load once per source, and what a trainer has had is used for nothing else."""

import io
from collections import Counter
from pathlib import Path

import pytest
import torch
from PIL import Image as Pil
from transformers import AutoModelForImageTextToText

from rftcore.config import PolicyRecipe
from rftcore.images import Image
from rftcore.models.completions import generate
from rftcore.models.vision import check_vision
from rftcore.pipeline.policies import Policies
from rftcore.pipeline.start import prepare, work
from rftcore.plugins import Catalogue
from rftcore.runs import RunFolder
from rftcore.testing.families import tiny_qwen2_vl
from rftcore.types import Prompt

RED_CUBES = Path(__file__).parents[1] / "examples/rft-red-cubes/rft_red_cubes.py"


@pytest.fixture
def loads(monkeypatch):
    """How often weights were read, by folder."""
    found = Counter()
    plain = AutoModelForImageTextToText.from_pretrained

    def from_pretrained(source, **options):
        found[Path(source).parent.name] += 1
        return plain(source, **options)

    monkeypatch.setattr(AutoModelForImageTextToText, "from_pretrained", from_pretrained)
    return found


@pytest.fixture(scope="module")
def qwen(tmp_path_factory):
    return tiny_qwen2_vl(tmp_path_factory.mktemp("tiny") / "qwen2_vl")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_run_loads_the_weights_of_each_source_once(loads, tmp_path):
    pytest.importorskip("rft_nano")
    task = f"{RED_CUBES}:count_red_cubes"
    work(prepare(Catalogue.load(), task=task, smoke=True, out=tmp_path / "run"))

    assert loads.pop("sft") == loads.pop("grpo") == 1
    assert list(loads.values()) == [1]  # the base model: vision check, zero-shot and SFT


def test_a_policy_is_kept_until_another_is_needed_or_a_trainer_takes_it(loads, qwen, tmp_path):
    run = RunFolder(tmp_path / "run")
    policies = Policies(run, seed=0)
    in_half = Policies(run, 0, PolicyRecipe(dtype="bfloat16"))

    first = policies.read(qwen)
    assert policies.read(qwen) is policies.take(qwen) is first
    assert policies.take(qwen) is not first
    assert policies.read(qwen).model.dtype == torch.float32
    assert in_half.take(qwen).model.dtype == torch.bfloat16
    assert sum(loads.values()) == 4


def state(policy):
    """All of a model that training depends on."""
    model = policy.model
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return (
        {name: (t.clone(), t.requires_grad, t.is_inference()) for name, t in tensors.items()},
        [(m.training, sorted(vars(m)), *map(len, hooks(m))) for m in model.modules()],
        model.generation_config.to_dict(),
        model.config.to_dict(),
    )


def image(color):
    buffer = io.BytesIO()
    Pil.new("RGB", (56, 56), color).save(buffer, "PNG")
    return Image.from_bytes(buffer.getvalue())


def hooks(module):
    return module._forward_hooks, module._forward_pre_hooks, module._backward_hooks


def test_what_reads_a_policy_leaves_it_as_it_was(qwen, tmp_path):
    policy = Policies(RunFolder(tmp_path / "run"), seed=0).read(qwen)
    before = state(policy)
    shown = [Prompt("What?", (image(color),)) for color in ("red", "blue")]
    check_vision(policy, shown, ["one", "two"], min_shift=1e-12)
    generate(policy, shown, 4)

    (tensors, *rest), (its, *others) = before, state(policy)
    assert rest == others
    for (before, *kind), (after, *its_kind) in zip(tensors.values(), its.values(), strict=True):
        assert torch.equal(before, after)
        assert kind == its_kind


def test_every_use_begins_with_the_same_random_numbers(qwen, tmp_path):
    policies = Policies(RunFolder(tmp_path / "run"), seed=3)
    drawn = []
    for use in (policies.read, policies.read, policies.take):
        use(qwen)
        drawn.append(torch.rand(4).tolist())

    assert drawn[0] == drawn[1] == drawn[2]
