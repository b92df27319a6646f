"""Models: loading, prompts to tensors, completions, and the checks before training."""
