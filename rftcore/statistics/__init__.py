"""Statistics across runs: seeds crossed with questions, paired tests, Holm's correction.

`rftcore.intervals` has the intervals of a single run, which need nothing but Python.
"""

from rftcore.statistics.crossed import Change, Share, change, scipy_stats, share
from rftcore.statistics.holm import holm

__all__ = ["Change", "Share", "change", "holm", "scipy_stats", "share"]
