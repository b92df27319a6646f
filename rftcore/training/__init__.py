"""SFT and GRPO with TRL; no other package imports it."""
