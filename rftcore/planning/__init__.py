"""What a run will need, before a model loads: tokens, steps and memory."""
