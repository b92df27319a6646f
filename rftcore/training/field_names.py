"""Which of TRL's fields a recipe may set, and what to use in place of the others."""

from __future__ import annotations

from typing import Any

# A setting of rft's that a TRL field would contradict, by the field's name.
DERIVED = {
    "per_device_train_batch_size": "micro_batch",
    "gradient_accumulation_steps": "batch_size (sft) or prompts_per_step (grpo)",
    "generation_batch_size": "prompts_per_step and group_size",
    "steps_per_generation": "prompts_per_step and group_size",
    "num_generations": "group_size",
    "num_generations_eval": "group_size",
    "auto_find_batch_size": "micro_batch",
    "reward_weights": "rewards.NAME.weight",
    "seed": "seed (at the top of the recipe)",
    "output_dir": "--out",
    "report_to": "tracking.to (at the top of the recipe): one run of the tracker for both phases",
    "project": "tracking.project (at the top of the recipe)",
    "run_name": "--out: trackers name the run as its folder",
    "trackio_space_id": "the environment variable TRACKIO_SPACE_ID",
    "trackio_bucket_id": "the environment variable TRACKIO_BUCKET_ID",
    "trackio_static_space_id": "`trackio freeze` after the run",
    "disable_tqdm": "the bar that rft draws",
    "remove_unused_columns": "the task's dataset",
    "label_names": "the task's dataset",
    "dataset_text_field": "the task's dataset",
    "dataset_kwargs": "the task's dataset",
    "dataset_num_proc": "the task's dataset",
    "length_column_name": "the task's dataset",
    "do_train": "sft.enabled and grpo.enabled",
    "do_eval": "evaluation",
    "do_predict": "evaluation",
    "eval_strategy": "evaluation",
    "eval_steps": "evaluation",
    "eval_delay": "evaluation",
    "eval_on_start": "evaluation.zero_shot",
    "eval_packing": "evaluation",
    "eval_accumulation_steps": "evaluation",
    "eval_do_concat_batches": "evaluation",
    "eval_use_gather_object": "evaluation",
    "per_device_eval_batch_size": "evaluation.batch_size",
    "prediction_loss_only": "evaluation",
    "include_for_metrics": "evaluation",
    "batch_eval_metrics": "evaluation",
    "bf16_full_eval": "evaluation",
    "fp16_full_eval": "evaluation",
    "resume_from_checkpoint": "--resume",
    "model_init_kwargs": "policy: dtype, attention, revision",
    "trust_remote_code": "policy.trust_remote_code",
    "chat_template_path": "the chat template in the model's folder",
    "chat_template_kwargs": "the chat template in the model's folder",
    "eos_token": "the tokenizer in the model's folder",
    "pad_token": "the tokenizer in the model's folder",
    "max_tool_calling_iterations": "the task's prompt: completions call no tools",
    "local_rank": "torchrun, which sets it",
    # transformers renamed these, and TRL still sets the old ones
    "gradient_checkpointing": "activation_checkpointing, its new name",
    "gradient_checkpointing_kwargs": "activation_checkpointing_kwargs, its new name",
}

# What rft does not support, with what to use in its place. Off is always allowed.
UNSUPPORTED = {
    "load_best_model_at_end": "rft does not evaluate during a phase. To choose a checkpoint, keep "
    "them all (save_total_limit=null) and measure each: rft eval RUN/PHASE/checkpoint-N",
    "metric_for_best_model": "rft does not evaluate during a phase, so no checkpoint is the best; "
    "leave it out",
    "greater_is_better": "rft does not evaluate during a phase, so no checkpoint is the best; "
    "leave it out",
    "packing": "rows with images cannot be packed; leave it out",
    "padding_free": "rows with images are padded; leave it out",
    "assistant_only_loss": "the loss of SFT is on the completion alone as it is; leave it out",
    "use_transformers_continuous_batching": "TRL has it for models without images only; leave it "
    "out, or use_vllm on a GPU",
    "use_transformers_paged": "TRL has it for models without images only; leave it out, or "
    "use_vllm on a GPU",
    "enable_jit_checkpoint": "rft saves every save_steps and on SIGTERM; leave it out",
}
OFF: tuple[Any, ...] = (False, None, "")

# LoRA and other adapters: names that peft's users try.
ADAPTER = frozenset(
    (
        *("peft", "use_peft", "lora", "use_lora", "qlora", "use_qlora", "use_dora", "use_rslora"),
        *("load_in_4bit", "load_in_8bit", "quantization_config"),
    )
)


def is_adapter_setting(name: str) -> bool:
    """Whether a setting is one of peft's: `use_peft`, `lora_r`, `lora_target_modules`."""
    return name in ADAPTER or name.startswith(("lora_", "peft_", "bnb_"))
