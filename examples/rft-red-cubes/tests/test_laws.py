"""The laws of rftcore.testing: a few lines that any plugin can copy."""

from pathlib import Path

from rftcore.testing import parametrize_laws

# Once the plugin is installed, the name "count-red-cubes" is enough.
TASK = f"{Path(__file__).parents[1] / 'rft_red_cubes.py'}:count_red_cubes"


@parametrize_laws(TASK)
def test_law(law):
    law.check()
