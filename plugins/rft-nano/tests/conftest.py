"""Tests of `pretraining`, which is not installed, import it from the folder beside `src`."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent))
