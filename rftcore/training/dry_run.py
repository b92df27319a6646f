"""One optimizer step on a toy, before a model loads: does TRL accept these settings?

TRL, transformers, accelerate and torch check values where they use them: some
when a trainer is built, many at the first step. A run would reach those places
after its evaluations or after hours of SFT. So each phase takes one step here
first, with its settings, on a language model of a few hundred weights and rows
of three words. What is raised is traced to the settings that cause it.
"""

from __future__ import annotations

import io
import itertools
import logging
import random
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

from rftcore.distributed import world_size
from rftcore.training.adapt import adapt

# What a dry run leaves out: what reaches outside, what takes long, and what only the
# real size decides. `fields` looks at these in other ways.
LEFT_OUT = frozenset(
    (
        *("report_to", "run_name", "project", "push_to_hub", "log_completions_hub_repo"),
        *("use_vllm", "torch_compile", "torch_compile_backend", "torch_compile_mode"),
        *("fsdp", "fsdp_config", "deepspeed", "parallelism_config", "full_determinism"),
        *("log_level", "log_level_replica", "max_length", "num_train_epochs"),
        *("cast_lm_head_to_fp32", "router_aux_loss_coef", "max_completion_length"),
    )
)
MOST = {"dataloader_num_workers": 1, "num_iterations": 2}
WORDS = ("<pad>", "<end>", "<unk>", "user", "assistant", "one", "two")
TEMPLATE = (
    "{% for m in messages %}{{ m['role'] }} {{ m['content'] }} <end> {% endfor %}"
    "{% if add_generation_prompt %}assistant {% endif %}"
)

Attempt = Callable[[Mapping[str, Any]], object]


class Refusal(NamedTuple):
    """An exception and the settings that cause it: several if only together, none if it is not
    theirs.
    """

    names: tuple[str, ...]
    error: Exception


def refusals(settings: Mapping[str, Any], attempt: Attempt) -> list[Refusal]:
    """Which of `settings` make `attempt` raise. An attempt takes some of the settings."""

    def raised(names: Iterator[str] | tuple[str, ...]) -> Exception | None:
        try:
            attempt({name: settings[name] for name in names})
        except Exception as error:  # whatever the libraries below us raise for a value
            return error
        return None

    def without(names: tuple[str, ...], *left_out: str) -> Iterator[str]:
        return (name for name in names if name not in left_out)

    every = tuple(settings)
    whole = raised(every)
    if whole is None:
        return []
    if (error := raised(())) is not None:
        return [Refusal((), error)]
    suspects = tuple(name for name in every if raised((name,)) is not None)
    sound = tuple(without(every, *suspects))
    found = []
    if (error := raised(sound)) is not None:
        together = tuple(name for name in sound if raised(without(sound, name)) is None)
        found.append(Refusal(together or sound, error))
        sound = tuple(without(sound, *found[0].names))
    for name in suspects:  # one may be right beside a setting that it needs
        if (error := raised((*sound, name))) is not None:
            found.append(Refusal((name,), error))
    if not found:
        together = tuple(name for name in every if raised(without(every, name)) is None)
        found.append(Refusal(together or every, whole))
    return found


def take_step(phase: str, settings: Mapping[str, Any], base: Mapping[str, Any]) -> None:
    """Take one step of a phase on a toy. Raises whatever TRL raises for a value.

    settings: TRL's fields as the recipe gives them. base: what rft passes to TRL otherwise.
    """
    chosen = {name: value for name, value in settings.items() if name not in LEFT_OUT}
    for name, most in MOST.items():
        if name in chosen:
            chosen[name] = min(chosen[name], most)
    steps = max(chosen.get("max_steps", -1), 1000)  # the schedule's; one of them is taken
    quiet = {"ddp_find_unused_parameters": False}  # torch would print that it finds none
    toy: dict[str, Any] = {"max_steps": steps, "per_device_train_batch_size": 4}
    if phase == "grpo":
        toy |= {"num_generations": 2, "max_completion_length": 4}
    with tempfile.TemporaryDirectory() as folder, _unnoticed():
        config = trl_config(phase)(**{**quiet, **base, **chosen, **toy, "output_dir": folder})
        trainer(phase, Path(folder), config, rows=4 * world_size()).train()


def trl_config(phase: str) -> Any:
    """TRL's class of configurations for a phase."""
    if phase == "sft":
        from trl.trainer.sft_config import SFTConfig

        return SFTConfig
    from trl.trainer.grpo_config import GRPOConfig

    return GRPOConfig


def trainer(phase: str, folder: Path, config: Any, rows: int) -> Any:
    """TRL's trainer of a phase over a toy and `rows` equal rows; it stops after one step."""
    from datasets import Dataset
    from transformers import TrainerCallback

    class OneStep(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
            control.should_training_stop = True
            control.should_save = False
            return control

    question = [{"role": "user", "content": "one two"}]
    model = _model(folder)
    adapt(model, bf16=config.bf16)  # as the trainers of a run do
    shared = {
        "model": model,
        "processing_class": _tokenizer(),
        "callbacks": [OneStep()],
        "args": config,
    }
    if phase == "sft":
        from trl.trainer.sft_trainer import SFTTrainer

        row = {"prompt": question, "completion": [{"role": "assistant", "content": "two one"}]}
        return SFTTrainer(train_dataset=Dataset.from_list([row] * rows), **shared)
    from trl.trainer.grpo_trainer import GRPOTrainer

    rewards = itertools.cycle((0.0, 1.0))
    return GRPOTrainer(
        train_dataset=Dataset.from_list([{"prompt": question}] * rows),
        reward_funcs=[lambda completions, **_: [next(rewards) for _ in completions]],
        **shared,
    )


def _model(folder: Path) -> Any:
    """A language model of one layer, saved in `folder`, from where TRL loads a reference model."""
    from safetensors.torch import save_file
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        architectures=["LlamaForCausalLM"],
        vocab_size=len(WORDS),
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
        max_position_embeddings=256,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=1,
    )
    # each process into its own folder; `save_pretrained` would write in one process alone
    config.save_pretrained(folder)
    weights = LlamaForCausalLM(config).state_dict()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return LlamaForCausalLM.from_pretrained(folder)


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: index for index, word in enumerate(WORDS)}
    words: Any = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = {"pad_token": "<pad>", "eos_token": "<end>", "unk_token": "<unk>"}
    made: Any = PreTrainedTokenizerFast  # untyped in transformers
    tokenizer = made(tokenizer_object=words, padding_side="left", **special)
    tokenizer.chat_template = TEMPLATE
    return tokenizer


@contextmanager
def _unnoticed() -> Iterator[None]:
    """Print nothing, and leave every random state as it was."""
    import numpy
    import torch

    states = random.getstate(), numpy.random.get_state()
    disabled = logging.root.manager.disable
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng())
        stack.enter_context(redirect_stdout(io.StringIO()))
        stack.enter_context(redirect_stderr(io.StringIO()))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(disabled)
            random.setstate(states[0])
            numpy.random.set_state(states[1])
