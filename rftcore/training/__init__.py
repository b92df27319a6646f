"""SFT and GRPO: the one place that knows TRL."""
