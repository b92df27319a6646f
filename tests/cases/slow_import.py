"""A module whose import takes longer than a reward may take."""

import time

for _ in range(100):
    time.sleep(0.01)
READY = True
