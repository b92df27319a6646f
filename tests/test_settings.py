"""Settings that TRL, transformers or accelerate reject later are errors before a model loads."""

import dataclasses
import importlib.util
import inspect
import random
import typing
from contextlib import nullcontext

import pytest

from rftcore.config import load_recipe
from rftcore.errors import RecipeError, TrainerError
from rftcore.testing.families import tiny_qwen2_vl
from rftcore.training import configs, dry_run, settings_check, steps
from rftcore.training.adapter_check import USE_POLICY_LORA
from rftcore.training.field_names import DERIVED, UNSUPPORTED
from rftcore.training.field_values import CHOICES, RULES
from rftcore.training.toy import toy_trainer, trl_config

# TRL passes on names that transformers has renamed; a run leaves that out too
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")


def recipe(*settings, **phases):
    """One phase alone is enabled, if its settings are given by name."""
    off = {p: {"enabled": False} for p in ("sft", "grpo") if phases and p not in phases}
    return load_recipe(("test", {"task": "t", **off, **phases}), overrides=settings)


def error_of(*settings, **phases):
    with pytest.raises(RecipeError) as caught:
        settings_check.check_settings(recipe(*settings, **phases))
    return str(caught.value)


REFUSED = [
    # choices
    ("grpo.loss_type=dr-grpo", "'dr_grpo'"),
    ("grpo.loss_type=gspo", "'grpo'"),
    ("sft.loss_type=grpo", "'nll' or 'dft'"),
    ("grpo.scale_rewards=groups", "'group', 'batch' or 'none'"),
    ("grpo.importance_sampling_level=tokens", "'token' or 'sequence'"),
    ("grpo.multi_objective_aggregation=sum", "'sum_then_normalize'"),
    ("grpo.cache_implementation=statik", "'static'"),
    ("grpo.vllm_mode=remote", "'colocate' or 'server'"),
    ("grpo.lr_scheduler_type=cosin", "Did you mean 'cosine'"),
    ("grpo.optim=adamw8bit", "Did you mean 'adamw_8bit'"),
    ("sft.save_strategy=step", "Did you mean 'steps'"),
    ("sft.logging_strategy=step", "Did you mean 'steps'"),
    ("sft.log_level=loud", "'warning'"),
    ("sft.train_sampling_strategy=group_by_length", "'random' or 'sequential'"),
    ("sft.activation_checkpointing_kwargs={resuse: true}", "resuse"),
    ("sft.lr_scheduler_kwargs={speed: 2}", "speed"),
    ("sft.accelerator_config={split: true}", "split"),
    # ranges
    ("grpo.temperature=0", "greater than 0"),
    ("grpo.top_p=1.5", "must be 1 or less"),
    ("grpo.min_p=-1", "must be 0 or more"),
    ("grpo.min_p=1", "less than 1"),
    ("grpo.top_k=1", "every completion is the same"),
    ("grpo.top_k=-1", "every completion is the same"),
    ("grpo.max_completion_length=0", "must be 1 or more"),
    ("grpo.max_completion_length=null", "must be a number"),
    ("grpo.learning_rate=-1e-5", "greater than 0"),
    ("grpo.beta=-0.1", "must be 0 or more"),
    ("grpo.num_iterations=0", "must be 1 or more"),
    ("grpo.epsilon=-1", "greater than 0"),
    ("sft.adam_beta1=1", "less than 1"),
    ("sft.warmup_steps=-1", "must be 0 or more"),
    ("sft.max_steps=0", "1 or more, or -1"),
    ("sft.max_steps=-2", "1 or more, or -1"),
    ("sft.num_train_epochs=0", "greater than 0"),
    ("sft.save_total_limit=0", "must be 1 or more"),
    ("sft.logging_steps=0", "greater than 0"),
    # no numbers
    ("sft.max_grad_norm=.nan", "finite number"),
    ("sft.learning_rate=1e400", "finite number"),
    ("sft.lr_scheduler_kwargs={num_cycles: .inf}", "finite number"),
    # combinations
    ("sft.dataloader_prefetch_factor=2", "dataloader_num_workers"),
    ("grpo.sampling_mask=on", "sampling keeps every token"),
    ("grpo.sync_ref_model=true", "beta"),
    ("grpo.log_completions_hub_repo=org/name", "log_completions"),
    ("grpo.generation_kwargs={temperature: 0.0}", "use grpo.temperature"),
    ("grpo.generation_kwargs={num_return_sequences: 2}", "use grpo.group_size"),
    ("grpo.generation_kwargs={do_sample: false}", "the same text"),
    ("grpo.generation_kwargs={no_repeat_ngram_sise: 2}", "Did you mean 'no_repeat_ngram_size'"),
    ("sft.logging_strategy=no", "metrics.jsonl"),
    ("sft.optim=galore_adamw", "galore"),
    ("sft.torch_compile=true & sft.torch_compile_backend=no-such", "inductor"),
    ("grpo.torch_compile=true & grpo.torch_compile_mode=no-such", "no-such"),
    # not supported
    ("sft.load_best_model_at_end=true", "not supported: rft does not evaluate during a phase"),
    ("grpo.save_strategy=best", "'steps', 'epoch' or 'no'"),
    ("grpo.metric_for_best_model=reward", "not supported"),
    ("sft.lr_scheduler_type=reduce_lr_on_plateau", "rft evaluates between phases"),
    ("sft.packing=true", "not supported: rows with images"),
    ("sft.padding_free=true", "not supported"),
    ("sft.pad_to_multiple_of=8", "rows with images"),
    ("sft.assistant_only_loss=true", "not supported"),
    ("grpo.use_transformers_continuous_batching=true", "without images only"),
    ("sft.eval_steps=10", "use evaluation"),
    ("grpo.fsdp=full_shard", "--processes"),
    # packages and places that are not there
    ("sft.report_to=tensorboard", "use tracking.to"),
    ("grpo.run_name=mine", "use --out"),
    ("grpo.push_to_hub=true", "hf upload"),
]
PACKAGES = [
    ("grpo.use_vllm=true", "vllm", "vllm"),
    ("sft.optim=adamw_bnb_8bit", "bitsandbytes", "bitsandbytes"),
    ("grpo.use_liger_kernel=true", "liger_kernel", "liger-kernel"),
    ("grpo.deepspeed=ds.json", "deepspeed", "deepspeed"),
]


@pytest.mark.parametrize(("setting", "wording"), REFUSED, ids=[setting for setting, _ in REFUSED])
def test_a_value_that_cannot_train_is_an_error_with_its_origin(setting, wording, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    *others, last = setting.split(" & ")
    other_phase = "grpo" if last.startswith("sft.") else "sft"
    message = error_of(*others, last, f"{other_phase}.enabled=false")

    assert f"(--set {last.partition('=')[0]})" in message
    assert wording in message
    assert "\n" not in message


@pytest.mark.parametrize(("setting", "package", "wording"), PACKAGES)
def test_a_package_that_is_not_installed_is_named(setting, package, wording):
    if importlib.util.find_spec(package):
        pytest.skip(f"{package} is installed")

    message = error_of(setting)
    assert f"(--set {setting.partition('=')[0]})" in message
    assert wording in message


def test_faults_of_both_phases_and_of_all_kinds_come_at_once():
    message = error_of("sft.optim=adamw_bnb_8bit", "sft.tf32=true", "grpo.cache_implementation=x")

    assert message.startswith("2 faults")
    for setting in ("sft.tf32", "grpo.cache_implementation"):
        assert f"(--set {setting})" in message


@pytest.mark.parametrize(
    ("setting", "fits"),
    [
        ("grpo.cast_lm_head_to_fp32=true", False),
        ("grpo.cast_lm_head_to_fp32=false", True),
        ("sft.router_aux_loss_coef=0.1", False),
        ("sft.router_aux_loss_coef=0.0", True),
    ],
)
def test_a_setting_that_does_not_fit_the_model_is_an_error(setting, fits, tmp_path):
    from transformers import LlamaConfig

    LlamaConfig(tie_word_embeddings=True).save_pretrained(tmp_path)
    with nullcontext() if fits else pytest.raises(RecipeError, match=f"--set {setting[:8]}"):
        settings_check.check_model_fits(recipe(setting), tmp_path, ["sft", "grpo"])


def test_a_model_of_text_and_vision_parts_takes_the_settings_that_fit_it(tmp_path):
    folder = tiny_qwen2_vl(tmp_path / "model")

    settings_check.check_model_fits(recipe("sft.learning_rate=1e-5"), folder, ["sft", "grpo"])


def test_lora_is_an_error_of_one_sentence_and_no_other_setting_is_suggested():
    message = error_of("sft.use_peft=true", "sft.lora_r=16", "grpo.peft_config={r: 8}")

    assert message.endswith(USE_POLICY_LORA)
    assert message.startswith("sft.use_peft (--set sft.use_peft): ")
    assert "sft.lora_r (--set sft.lora_r)" in message


SOUND = [
    {"beta": 0.04},
    {"beta": 0.04, "sync_ref_model": True, "ref_model_sync_steps": 1},
    {"loss_type": "cispo", "epsilon_high": 5.0, "scale_rewards": "batch"},
    {"cache_implementation": "static", "top_k": 50, "min_p": 0.1, "num_iterations": 2},
    {"lr_scheduler_type": "cosine_with_min_lr", "lr_scheduler_kwargs": {"min_lr": 1e-6}},
    {"generation_kwargs": {"no_repeat_ngram_size": 3}},
    {"dataloader_num_workers": 2, "dataloader_prefetch_factor": 2},
    {"adam_beta1": 0, "warmup_steps": 0.1, "save_steps": 0.5, "max_steps": 7},
]


@pytest.mark.parametrize("settings", SOUND, ids=lambda settings: ",".join(settings))
def test_settings_that_train_are_accepted(settings):
    settings_check.check_settings(recipe(grpo=settings))


def test_a_phase_that_is_done_or_switched_off_is_not_tried():
    settings_check.check_settings(recipe("grpo.sync_ref_model=true"), done=["grpo"])
    settings_check.check_settings(recipe("grpo.sync_ref_model=true", "grpo.enabled=false"))


def outcome(**phases):
    try:
        settings_check.check_settings(recipe(**phases))
    except RecipeError as error:
        return str(error)
    return "takes a step"


def absurd(annotation):
    """Values of a field's type that nobody means."""
    kinds = typing.get_args(annotation) or (annotation,)
    for kind, values in (
        (float, (-1.0, 0.0, float("inf"))),
        (int, (-1, 0)),
        (str, ("no-such",)),
        (dict, ({"no_such": -1},)),
    ):
        if kind in {typing.get_origin(k) or k for k in kinds}:
            yield from values


def cases(phase):
    hints = typing.get_type_hints(trl_config(phase))
    for field in dataclasses.fields(trl_config(phase)):
        if field.init and field.name not in DERIVED:
            yield from ((field.name, value) for value in absurd(hints[field.name]))


@pytest.mark.parametrize("phase", ["sft", pytest.param("grpo", marks=pytest.mark.long)])
def test_every_field_with_an_absurd_value_takes_a_step_or_is_an_error_with_its_origin(
    phase, monkeypatch
):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for name, value in cases(phase):
        message = outcome(**{phase: {name: value}})

        assert message == "takes a step" or f"{phase}.{name} = {value!r} (test)" in message


@pytest.mark.parametrize("phase", ["sft", "grpo"])
def test_every_choice_that_is_allowed_takes_a_step(phase):
    for name, words in CHOICES[phase].items():
        for word in typing.get_args(words):
            if isinstance(word, str) and not name.startswith(("log_level", "vllm", "packing")):
                settings_check.check_settings(recipe(**{phase: {name: word}}))


def test_the_rules_name_fields_that_trl_has():
    names = {f.name for p in ("sft", "grpo") for f in dataclasses.fields(trl_config(p))}

    assert {*RULES, *DERIVED, *UNSUPPORTED} <= names
    assert {name for words in CHOICES.values() for name in words} <= names


def test_the_losses_of_grpo_are_all_of_the_installed_trl():
    from trl.trainer.grpo_config import GRPOConfig

    told = inspect.getdoc(GRPOConfig).partition("loss_type (")[2].partition("- `False`")[0]
    for loss in typing.get_args(CHOICES["grpo"]["loss_type"]):
        assert f'`"{loss}"`' in told


# --- the dry run itself ---


def attempt_that_refuses(*bad, needs=()):
    def attempt(settings):
        if found := [name for name in bad if name in settings]:
            raise ValueError(found[0])
        for name, other in needs:
            if name in settings and other not in settings:
                raise ValueError(f"{name} needs {other}")
        if {"x", "y"} <= settings.keys():
            raise ValueError("x and y")

    return attempt


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ("ab", []),
        ("a!b", [("!",)]),
        ("!?a", [("!",), ("?",)]),
        ("xay", [("x", "y")]),
        ("xay!", [("x", "y"), ("!",)]),
        ("ns", []),  # n needs s
        ("na", [("n",)]),
        ("ns!", [("!",)]),
    ],
)
def test_a_refusal_is_traced_to_the_settings_that_cause_it(settings, found):
    attempt = attempt_that_refuses("!", "?", needs=[("n", "s")])

    assert [r.names for r in dry_run.find_causes(dict.fromkeys(settings, 1), attempt)] == found


def test_what_fails_without_any_setting_is_no_settings_fault(monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("nothing works here")

    monkeypatch.setattr(dry_run, "take_step", broken)
    with pytest.raises(TrainerError, match=r"own defaults: RuntimeError: nothing works here"):
        settings_check.check_settings(recipe("grpo.beta=0.1"))


def test_a_dry_run_prints_nothing_and_leaves_random_numbers_as_they_were(capfd):
    import numpy
    import torch

    def numbers():
        return torch.rand(1).item(), random.random(), numpy.random.rand()

    torch.manual_seed(1), random.seed(1), numpy.random.seed(1)
    expected = numbers()
    torch.manual_seed(1), random.seed(1), numpy.random.seed(1)
    settings_check.check_settings(recipe("grpo.log_completions=true", "sft.learning_rate=1e-3"))

    assert numbers() == expected
    assert "".join(capfd.readouterr()) == ""


# --- a phase that would take no step ---


@pytest.mark.parametrize("drop", [False, True])
@pytest.mark.parametrize("rows", [1, 3, 4, 5, 8, 9])
def test_steps_are_counted_as_the_trainer_counts_them(rows, drop, tmp_path):
    phases = {
        "sft": {"batch_size": 4, "micro_batch": 2},
        "grpo": {"prompts_per_step": 4, "group_size": 2, "micro_batch": 2, "num_iterations": 2},
    }
    for phase, settings in phases.items():
        made = recipe(**{phase: {**settings, "dataloader_drop_last": drop}})
        config = configs.make_config(made, phase, tmp_path)
        loader = toy_trainer(phase, tmp_path, config, rows).get_train_dataloader()
        each = -(-len(loader) // config.gradient_accumulation_steps)

        assert steps.per_epoch(phase, config, rows) == each
        assert (steps.none_taken(made, phase, config, rows) is None) == (each > 0)


@pytest.mark.parametrize(
    ("settings", "rows", "wording"),
    [
        (["grpo.prompts_per_step=8"], 5, "set prompts_per_step to 5 or less"),
        (["grpo.prompts_per_step=8", "grpo.samples=5"], 5, "(grpo.samples = 5, --set grpo"),
        (["grpo.prompts_per_step=8", "grpo.max_steps=10"], 5, "split rl has 5 samples"),
        (["sft.dataloader_drop_last=true"], 5, "split sft has 5 samples"),
    ],
)
def test_a_phase_without_a_step_is_an_error_with_the_setting_to_change(settings, rows, wording):
    phase = settings[0].partition(".")[0]
    with pytest.raises(RecipeError) as caught:
        settings_check.check_steps(recipe(*settings), {phase: rows})

    assert wording in str(caught.value)
    assert "would take no step" in str(caught.value)


@pytest.mark.parametrize(("every", "logged"), [(5, True), (6, False), (0.5, True), (100, False)])
def test_a_phase_whose_steps_would_not_be_logged_is_an_error(every, logged):
    made = recipe(f"sft.logging_steps={every}", "sft.max_steps=5")
    with nullcontext() if logged else pytest.raises(RecipeError, match="takes 5 steps"):
        settings_check.check_steps(made, {"sft": 40})


@pytest.mark.parametrize(("warmup", "noted"), [(0, 0), (0.5, 0), (4, 0), (5, 1), (50, 1)])
def test_a_warmup_as_long_as_the_phase_is_reported(warmup, noted, logged):
    settings_check.check_steps(
        recipe(f"sft.warmup_steps={warmup}", "sft.max_steps=5"), {"sft": 160}
    )

    assert ("takes 5 steps, so the learning rate only rises" in logged.text) == noted


@pytest.mark.parametrize(("kind", "noted"), [("constant", 1), ("constant_with_warmup", 0)])
def test_a_warmup_that_a_schedule_does_not_know_is_reported(kind, noted, logged):
    settings = (f"sft.lr_scheduler_type={kind}", "sft.warmup_steps=2", "sft.max_steps=5")
    settings_check.check_steps(recipe(*settings), {"sft": 160})

    assert ("has no effect with" in logged.text) == noted


def test_more_samples_than_a_split_has_are_reported(logged):
    settings_check.check_steps(recipe("sft.samples=50"), {"sft": 40})

    assert "sft.samples = 50 (--set sft.samples): split sft has 40" in logged.text


@pytest.mark.parametrize(
    ("rows", "settings", "noted"),
    [
        (20, [], True),
        (100, [], False),
        (20, ["grpo.max_steps=1"], False),
        (20, ["grpo.max_steps=2"], True),
        (16, [], False),
    ],
)
def test_samples_that_an_epoch_leaves_out_are_reported(rows, settings, noted, logged):
    settings_check.check_steps(recipe("grpo.prompts_per_step=8", *settings), {"grpo": rows})

    lines = [f"{record.levelname} {record.message}" for record in logged.records]
    assert [line[:43] for line in lines] == ["INFO grpo: an epoch trains on 16 of the 20 "] * noted
