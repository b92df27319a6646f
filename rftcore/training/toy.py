"""TRL's trainers over a language model of a few hundred weights and rows of three words.

Building one and taking a step takes a fraction of a second, so it shows what TRL does with a
setting or a reward before a real model loads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rftcore.training.adapt import adapt

if TYPE_CHECKING:
    from peft import LoraConfig
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast
    from trl.trainer.grpo_config import GRPOConfig
    from trl.trainer.grpo_trainer import GRPOTrainer
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

Rewards = Callable[..., list[float | None]]  # as TRL calls it: `completions` and more by keyword
WORDS = ("<pad>", "<end>", "<unk>", "user", "assistant", "one", "two")
TEMPLATE = (
    "{% for m in messages %}{{ m['role'] }} {{ m['content'] }} <end> {% endfor %}"
    "{% if add_generation_prompt %}assistant {% endif %}"
)


def trl_config(phase: str) -> type[SFTConfig | GRPOConfig]:
    """TRL's class of configurations for a phase."""
    if phase == "sft":
        from trl.trainer.sft_config import SFTConfig

        return SFTConfig
    from trl.trainer.grpo_config import GRPOConfig

    return GRPOConfig


def toy_trainer(
    phase: str,
    folder: Path,
    config: Any,
    rows: int,
    rewards: Rewards | None = None,
    *,
    adapter: bool = False,
) -> SFTTrainer | GRPOTrainer:
    """TRL's trainer of a phase over a toy and `rows` equal rows; it stops after one step.

    config: TRL's configuration. rewards: of GRPO; None rewards every second completion.
    adapter: whether an adapter is trained.
    Raises: whatever TRL raises for a value of its configuration.
    """
    from datasets import Dataset
    from transformers import TrainerCallback

    class OneStep(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            control.should_training_stop = True
            control.should_save = False

    question = [{"role": "user", "content": "one two"}]
    model = _model(folder)
    adapt(model, bf16=config.bf16)  # as the trainers of a run do
    shared = {
        "model": model,
        "processing_class": _tokenizer(),
        "callbacks": [OneStep()],
        "args": config,
        "peft_config": _adapter() if adapter else None,
    }
    if phase == "sft":
        from trl.trainer.sft_trainer import SFTTrainer

        row = {"prompt": question, "completion": [{"role": "assistant", "content": "two one"}]}
        return SFTTrainer(train_dataset=Dataset.from_list([row] * rows), **shared)
    from trl.trainer.grpo_trainer import GRPOTrainer

    return GRPOTrainer(
        train_dataset=Dataset.from_list([{"prompt": question}] * rows),
        reward_funcs=[rewards or _every_second],
        **shared,
    )


def _every_second(completions: Sequence[Any], **_: Any) -> list[float | None]:
    return [float(at % 2) for at in range(len(completions))]


def _model(folder: Path) -> LlamaForCausalLM:
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
    model: LlamaForCausalLM = LlamaForCausalLM.from_pretrained(folder)
    return model


def _adapter() -> LoraConfig:
    from peft import LoraConfig

    return LoraConfig(r=1, target_modules=["q_proj"])


def _tokenizer() -> PreTrainedTokenizerFast:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: index for index, word in enumerate(WORDS)}
    words: Any = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = {"pad_token": "<pad>", "eos_token": "<end>", "unk_token": "<unk>"}
    made: Any = PreTrainedTokenizerFast  # untyped in transformers
    tokenizer: PreTrainedTokenizerFast = made(
        tokenizer_object=words, padding_side="left", **special
    )
    tokenizer.chat_template = TEMPLATE
    return tokenizer
