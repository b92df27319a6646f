"""GRPO's completions of one prompt, computed with the prompt read once.

The plain form repeats a prompt, and the vision tower with it, for each of its G
completions. Here a wrapper around a model's `forward` finds rows that share
prompt and images, in any order, and computes them together:

    tokens read per group   plain  G (P + C)      shared  P + G C + ...

for prompts of P tokens and completions of C. It returns what the plain model
returns, up to rounding, and compares the two on the first batch.
"""

from rftcore.training.shared_prefix.sharing import Sharing, share_prefix
from rftcore.training.shared_prefix.trainer import SharedPrompts

__all__ = ["SharedPrompts", "Sharing", "share_prefix"]
