"""The device of this process, and the dtype in which models are read on it."""

import os


def reading_dtype(device: str | None = None) -> str:
    """The dtype "auto" on a device, by default this process's: bfloat16 where that is quick."""
    import torch

    fast = (device or best_device()).startswith("cuda") and torch.cuda.is_bf16_supported()
    return "bfloat16" if fast else "float32"


def best_device() -> str:
    """This process's accelerator, else the CPU."""
    import torch

    if torch.cuda.is_available():
        return f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    return "cpu"
