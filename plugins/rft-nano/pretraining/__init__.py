"""How the weights of `nano` were trained from scratch: `python -m pretraining --help`.

Not installed and not needed at run time: see "Train it again" in the README of rft-nano.
"""
