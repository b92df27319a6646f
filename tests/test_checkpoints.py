"""A checkpoint is used only if it is what was written, down to the last bit."""

import json
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rftcore.errors import ModelError, TrainerError
from rftcore.models.loading import load_model
from rftcore.testing.families import tiny_qwen2_vl
from rftcore.training.checkpoints import SEAL, fault_of, load_weights, newest_complete, seal, sealed

FILES = {
    "trainer_state.json": b"{}",
    "model.safetensors": b"weights",
    "optimizer.pt": b"moments",
    "scheduler.pt": b"rates",
    "rng_state.pth": b"random",
    "part/more.safetensors": b"shard",
}


def checkpoint(folder, step=1, files=FILES):
    path = folder / f"checkpoint-{step}"
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    seal(path, step=step, seconds=1.5)
    return path


def test_the_newest_sealed_checkpoint_is_taken_by_its_number(tmp_path):
    for step in (2, 10, 9):
        checkpoint(tmp_path, step)
    (tmp_path / "checkpoint-11").mkdir()
    (tmp_path / "checkpoint-best").mkdir()

    found = newest_complete(tmp_path)
    assert (found.path.name, found.step, found.seconds) == ("checkpoint-10", 10, 1.5)
    assert newest_complete(tmp_path / "none") is None


@given(name=st.sampled_from(sorted(FILES)), at=st.integers(0, 4), cut=st.booleans())
def test_any_file_cut_off_or_changed_anywhere_is_found(tmp_path_factory, name, at, cut):
    path = checkpoint(tmp_path_factory.mktemp("one"))
    content = bytearray(FILES[name])
    content[min(at, len(content) - 1)] ^= 1
    (path / name).write_bytes(FILES[name][: min(at, len(content) - 1)] if cut else content)

    assert name in fault_of(path)


@pytest.mark.parametrize("name", [*FILES, SEAL])
def test_any_missing_file_is_found(name, tmp_path):
    path = checkpoint(tmp_path)
    (path / name).unlink()

    assert name in fault_of(path)


@pytest.mark.parametrize("name", ["model.bin", "optimizer.bin", "adapter/adapter.safetensors"])
def test_a_file_that_would_be_loaded_but_was_not_written_is_found(name, tmp_path):
    path = checkpoint(tmp_path)
    (path / name).parent.mkdir(exist_ok=True)
    (path / name).write_bytes(b"stray")

    assert name in fault_of(path)


def test_a_note_of_the_user_does_no_harm(tmp_path):
    path = checkpoint(tmp_path)
    (path / "notes.txt").write_text("a good one")

    assert fault_of(path) == ""


@pytest.mark.parametrize("missing", ["optimizer.pt", "scheduler.pt", "rng_state.pth"])
def test_a_checkpoint_saved_without_its_state_is_not_continued_from(missing, tmp_path):
    path = checkpoint(tmp_path, files={k: v for k, v in FILES.items() if k != missing})

    assert "save_only_model" in fault_of(path)


@pytest.mark.parametrize("text", ["", "[]", "{}", "nul", '{"files": {}}', '{"files": []}', "\xff"])
def test_a_damaged_seal_is_a_fault_and_not_a_crash(text, tmp_path):
    path = checkpoint(tmp_path)
    (path / SEAL).write_text(text, encoding="latin-1")

    assert SEAL in fault_of(path)


def test_a_new_seal_replaces_the_old_one(tmp_path):
    path = checkpoint(tmp_path)
    (path / "optimizer.pt").write_bytes(b"other moments")
    assert fault_of(path)
    seal(path, step=1, seconds=2.0)

    assert fault_of(path) == ""
    assert sealed(tmp_path) == [path]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_qwen2_vl(tmp_path_factory.mktemp("tiny") / "qwen2_vl")


def edited(folder, out, edit):
    """A copy of a model's folder whose weights went through `edit`."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(folder, out)
    weights = load_file(out / "model.safetensors")
    edit(weights)
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})
    return out


def first(weights):
    return next(name for name in sorted(weights) if weights[name].ndim == 2)


def renamed(weights):
    weights["model.other.weight"] = weights.pop(first(weights))


def reshaped(weights):
    weights[first(weights)] = weights[first(weights)][:1].clone()


@pytest.mark.parametrize(
    ("edit", "found"),
    [
        (lambda weights: weights.pop(first(weights)), "missing"),
        (lambda weights: weights.update(extra=weights[first(weights)].clone()), "unexpected"),
        (renamed, "missing"),
        (reshaped, "model"),
    ],
)
def test_a_model_whose_weights_are_not_those_of_its_config_is_an_error(
    edit, found, folder, tmp_path
):
    with pytest.raises(ModelError, match=found):
        load_model(edited(folder, tmp_path / "edited", edit))


@pytest.mark.parametrize("keep", [0.0, 0.001, 0.5, 0.99])
def test_weights_that_are_cut_off_are_an_error(keep, folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "cut")
    content = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(content[: int(len(content) * keep)])

    with pytest.raises(ModelError, match=r"cannot be read|could not be loaded"):
        load_model(copy)


def test_weights_are_loaded_in_place_and_whole(folder, tmp_path):
    policy = load_model(folder, device="cpu")
    other = tiny_qwen2_vl(tmp_path / "other", seed=1)
    kept = policy.model.get_input_embeddings().weight
    load_weights(policy.model, other)

    loaded = load_model(other, device="cpu").model.state_dict()
    assert all(value.equal(loaded[name]) for name, value in policy.model.state_dict().items())
    assert kept is policy.model.get_input_embeddings().weight


def test_weights_of_another_model_are_an_error(folder, tmp_path):
    from rft_nano.model import build_untrained

    policy = load_model(folder, device="cpu")
    with pytest.raises(TrainerError, match="another model"):
        load_weights(policy.model, build_untrained(tmp_path / "toy"))


def test_a_seal_lists_every_file_with_its_size(tmp_path):
    facts = json.loads((checkpoint(tmp_path) / SEAL).read_text())

    assert {name: each["bytes"] for name, each in facts["files"].items()} == {
        name: len(content) for name, content in FILES.items()
    }
