"""LoRA: which layers, what is saved, what GRPO starts from and is compared with."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from peft import PeftModel, get_peft_model, get_peft_model_state_dict, load_peft_weights
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText, LlamaForCausalLM
from trl.trainer.grpo_trainer import GRPOTrainer

from rftcore.config import LoraRecipe, load_recipe
from rftcore.errors import ModelError, RecipeError
from rftcore.models import adapters
from rftcore.models.configs import empty_model
from rftcore.models.fingerprint import fingerprint
from rftcore.models.loading import load_model
from rftcore.pipeline import loop
from rftcore.testing.families import tiny_qwen2_vl
from rftcore.training import sft
from rftcore.training.adapter_check import check_targets
from rftcore.training.settings_check import check_settings
from tests.commands import exit_code as rft

nano = pytest.importorskip("rft_nano")
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")

TASK = f"{Path(__file__).parent}/cases/lively_task.py:squares"
SETTINGS = (
    *("sft.samples=8", "sft.batch_size=4", "sft.max_steps=4", "sft.learning_rate=1e-2"),
    *("grpo.samples=8", "grpo.max_steps=3", "grpo.beta=0.04", "grpo.learning_rate=1e-2"),
    *("policy.lora.rank=4", "vision_check.enabled=false", "evaluation.zero_shot=false"),
    *("evaluation.splits=[val]", "evaluation.samples.val=2"),
)
FAMILIES = ("qwen2_vl", "toy")
BETWEEN = ("merge", "continue")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A model folder of each family."""
    qwen = tiny_qwen2_vl(tmp_path_factory.mktemp("tiny") / "qwen2_vl")
    return {"qwen2_vl": qwen, "toy": nano.toy()}


def train(model, out, *more):
    settings = [f"--set={setting}" for setting in (*SETTINGS, *more)]
    return rft("train", "--task", TASK, "--smoke", "--model", model, "--out", out, *settings)


@pytest.fixture(scope="module")
def runs(tmp_path_factory, folders):
    """A run of both phases, made on first use, with what TRL computed without gradients."""
    made = {}

    def of(family, between):
        if (family, between) not in made:
            seen = Spied()
            with pytest.MonkeyPatch.context() as patch:
                seen.install(patch)
                path = tmp_path_factory.mktemp("run") / "run"
                assert train(folders[family], path, f"policy.lora.between={between}") == 0
            made[family, between] = SimpleNamespace(path=path, seen=seen, base=folders[family])
        return made[family, between]

    return of


class Spied:
    """The reference log-probabilities of a run, and its adapter when GRPO begins."""

    def __init__(self):
        self.at_start, self.reference = None, []
        self.sft = None  # the trainer of SFT

    def install(self, patch):
        patch.setattr(loop, "check_first_steps", lambda job: None)  # a step before the run's own
        make = sft.sft_trainer

        def sft_trainer(*args, **kwargs):
            self.sft = make(*args, **kwargs)
            return self.sft

        patch.setattr(sft, "sft_trainer", sft_trainer)
        plain = GRPOTrainer._get_per_token_logps_and_entropies

        def spy(trainer, model, ids, mask, keep, *args, **kwargs):
            if type(trainer.model.get_base_model()) is LlamaForCausalLM:  # the dry run's
                return plain(trainer, model, ids, mask, keep, *args, **kwargs)
            if self.at_start is None:
                state = get_peft_model_state_dict(trainer.model)
                self.at_start = {name: value.clone() for name, value in state.items()}
            found = plain(trainer, model, ids, mask, keep, *args, **kwargs)
            if not torch.is_grad_enabled():
                images = {k: v for k, v in kwargs.items() if isinstance(v, torch.Tensor)}
                self.reference.append((ids, mask, keep, images, found[0]))
            return found

        patch.setattr(GRPOTrainer, "_get_per_token_logps_and_entropies", spy)


def log_probs(model, ids, mask, keep, images):
    with torch.no_grad():
        logits = model(input_ids=ids, attention_mask=mask, **images).logits[:, -keep - 1 : -1]
    return logits.log_softmax(-1).gather(-1, ids[:, -keep:, None])[..., 0]


def plain(folder):
    """The model in a folder as anyone would load it."""
    return AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("vision", [False, True])
def test_by_default_all_linear_layers_of_the_language_model_get_an_adapter(family, vision, folders):
    model = load_model(folders[family], device="cpu").model
    lora = LoraRecipe(rank=3, vision=vision)
    whole = get_peft_model(model, adapters.lora_config(model, lora))

    adapted = {n.rpartition(".lora_A")[0] for n, _ in whole.named_parameters() if "lora_A" in n}
    linears = {n for n, m in whole.named_modules() if n.endswith("base_layer")}
    assert {f"{name}.base_layer" for name in adapted} == linears
    assert any(part in name for name in adapted for part in ("vision_tower", "visual")) == vision
    left = [n for n, m in whole.named_modules() if type(m) is torch.nn.Linear and "lora" not in n]
    assert all(name in linears or "lm_head" in name or not vision for name in left)
    trained = sum(p.numel() for p in whole.parameters() if p.requires_grad)
    assert trained == adapters.added_parameters(empty_model(folders[family]), lora)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["targets=[q_prj]"], r"q_prj.*Did you mean 'q_proj'.*v_proj, o_proj.*vision: qkv, proj"),
        (["targets=[q_proj, qkv]"], r"'qkv'\. It is in the vision tower.*policy.lora.vision=true"),
        (["targets=[lm_head]"], "no linear layer of the language model is named 'lm_head'"),
        (["vision=true", "targets=[qkv, q_proj]"], None),
        (["targets=[layers.1.mlp.up_proj]"], None),
    ],
)
def test_a_target_that_no_layer_has_is_an_error_before_weights_load(settings, message, folders):
    overrides = [f"policy.lora.{setting}" for setting in settings]
    recipe = load_recipe(("test", {"task": "t"}), overrides=overrides)
    found = [str(fault) for fault in check_targets(recipe, folders["qwen2_vl"])]

    assert bool(found) == bool(message)
    if message:
        with pytest.raises(RecipeError, match=f"policy.lora.targets.*--set.*{message}"):
            raise RecipeError(*found)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            ["policy.lora.vision=true"],
            r"sft.freeze = .*default.*set sft.freeze=\[\]",
        ),
        (["policy.lora.rank=4", "grpo.beta=0.1", "grpo.sync_ref_model=true"], "sync_ref_model"),
        (["sft.use_peft=true"], "use policy.lora, such as --set policy.lora.rank=16"),
        (["policy.lora=true"], "give its settings, such as"),
    ],
)
def test_settings_that_cannot_train_an_adapter_are_errors(settings, message):
    with pytest.raises(RecipeError, match=message):
        check_settings(load_recipe(("test", {"task": "t"}), overrides=settings))


def test_lora_without_peft_is_an_error_that_names_the_extra(monkeypatch, folders, tmp_path):
    monkeypatch.setattr("rftcore.training.adapter_check.has_peft", lambda: False)
    recipe = load_recipe(("test", {"task": "t"}), overrides=["policy.lora.rank=4"])
    with pytest.raises(RecipeError, match=r"pip install 'rftcore\[lora\]'"):
        check_settings(recipe)


@pytest.mark.slow
@pytest.mark.parametrize("between", BETWEEN)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_merged_model_computes_what_base_and_adapter_do(family, between, runs):
    run = runs(family, between)
    bases = {"sft": run.base, "grpo": run.base if between == "continue" else run.path / "sft/model"}
    ids, mask, keep, images, _ = run.seen.reference[0]
    for phase, base in bases.items():
        adapted = PeftModel.from_pretrained(plain(base), run.path / phase / "adapter").eval()
        merged = log_probs(plain(run.path / phase / "model"), ids, mask, keep, images)

        torch.testing.assert_close(merged, log_probs(adapted, ids, mask, keep, images))
        assert not torch.allclose(merged, log_probs(plain(base), ids, mask, keep, images))


@pytest.mark.slow
@pytest.mark.parametrize("between", BETWEEN)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_reference_of_grpo_is_the_sft_policy_at_every_step(family, between, runs):
    run = runs(family, between)
    policy = plain(run.path / "sft/model")

    assert len(run.seen.reference) == 3
    for *inputs, seen in run.seen.reference:
        kept = inputs[1][:, -inputs[2] :].bool()  # not padding
        torch.testing.assert_close(seen[kept], log_probs(policy, *inputs)[kept], atol=1e-4, rtol=0)
    assert lines(run, "kl")[0] < 1e-6 < lines(run, "kl")[-1]


def lines(run, name, phase="grpo"):
    rows = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    return [row[name] for row in rows if row["phase"] == phase and name in row]


@pytest.mark.slow
def test_grpo_continues_the_adapter_of_sft_to_the_bit(runs):
    run = runs("qwen2_vl", "continue")
    saved = load_peft_weights(run.path / "sft/adapter")

    assert saved.keys() == run.seen.at_start.keys()
    assert all(torch.equal(saved[name], run.seen.at_start[name]) for name in saved)
    assert not (run.path / "grpo/adapter/ref").exists()


@pytest.mark.slow
def test_grpo_on_merged_weights_starts_with_a_new_adapter_that_adds_nothing(runs):
    start = runs("qwen2_vl", "merge").seen.at_start

    assert all(not value.any() for name, value in start.items() if "lora_B" in name)
    assert any(value.any() for name, value in start.items() if "lora_A" in name)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_the_loss_falls_and_no_other_weight_changes(family, runs):
    run = runs(family, "merge")
    base = plain(run.base).state_dict()
    merged = plain(run.path / "sft/model").state_dict()
    whole = load_model(run.base, device="cpu").model
    targets = {f"{name}.weight" for name in adapters.targets(whole, LoraRecipe())}

    assert lines(run, "loss", "sft")[-1] < lines(run, "loss", "sft")[0]
    assert {name for name in base if not torch.equal(base[name], merged[name])} == targets


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_training_leaves_the_base_as_it_was_to_the_bit(family, runs):
    run = runs(family, "merge")
    trained = run.seen.sft.model.get_base_model().state_dict()
    mine = {n.replace(".base_layer", ""): v for n, v in trained.items() if ".lora_" not in n}
    base = plain(run.base).state_dict()

    assert mine.keys() == base.keys()
    assert all(torch.equal(mine[name], base[name]) for name in base)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_prompts_are_shared_under_an_adapter_with_the_same_result(family, runs, folders, tmp_path):
    shared = runs(family, "merge")
    off = SimpleNamespace(path=tmp_path / "run")
    assert train(folders[family], off.path, "grpo.shared_prefix=off") == 0

    assert min(lines(shared, "shared_prefix/tokens_saved")) > 0.3
    for name in ("loss", "kl", "grad_norm", "reward"):
        assert lines(shared, name) == pytest.approx(lines(off, name), abs=1e-4, rel=1e-3)


@pytest.mark.slow
def test_an_adapter_is_a_model_to_measure_and_to_train_from(runs, tmp_path, capsys):
    run = runs("qwen2_vl", "continue")
    adapter = run.path / "grpo/adapter"
    answers = []
    for name, source in (("a", adapter), ("b", run.path / "grpo/model")):
        options = ("--split", "val", "--set", "evaluation.samples.val=4")
        file = tmp_path / f"{name}.jsonl"
        assert rft("eval", source, "--task", TASK, *options, "--answers", file) == 0
        answers.append(file.read_text())
    assert answers[0] == answers[1]

    out = tmp_path / "run"
    assert train(adapter, out, "sft.enabled=false", "policy.lora=null", "grpo.max_steps=1") == 0
    mine, its = (
        load_file(f / "model.safetensors") for f in (out / "base/model", run.path / "grpo/model")
    )
    assert all(torch.equal(mine[name], its[name]) for name in its)
    assert lines(SimpleNamespace(path=out), "kl")[0] < 1e-6  # the reference has the adapter


@pytest.mark.slow
def test_the_fingerprint_of_an_adapter_covers_its_base(runs, tmp_path):
    run = runs("qwen2_vl", "continue")
    folder = shutil.copytree(run.path / "sft/adapter", tmp_path / "adapter")
    base = shutil.copytree(run.base, tmp_path / "base")
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(
        json.dumps(config | {"base_model_name_or_path": str(base)})
    )
    before = fingerprint(folder)
    shutil.copy(run.path / "sft/model/model.safetensors", base)

    assert fingerprint(folder) != before
    shutil.rmtree(base)
    with pytest.raises(ModelError, match=f"belongs to base model '{base}', which is not there"):
        load_model(folder)


@pytest.mark.slow
def test_an_adapter_of_another_model_is_an_error_not_a_guess(runs, tmp_path):
    folder = shutil.copytree(runs("qwen2_vl", "continue").path / "sft/adapter", tmp_path / "other")
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(
        json.dumps(config | {"base_model_name_or_path": str(nano.toy())})
    )
    with pytest.raises(ModelError, match="adapter"):
        load_model(folder)
    (folder / "adapter_config.json").write_text(json.dumps(config | {"r": 2}))
    with pytest.raises(ModelError, match=r"cannot be put on its base|is not of this model"):
        load_model(folder)
