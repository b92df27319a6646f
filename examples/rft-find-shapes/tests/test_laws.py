"""The laws of rftcore.testing: a few lines that any plugin can copy."""

from pathlib import Path

from rftcore.testing import parametrize_laws

# Once the plugin is installed, the name "find-shapes" is enough.
TASK = f"{Path(__file__).parents[1] / 'rft_find_shapes.py'}:find_shapes"


@parametrize_laws(TASK)
def test_law(law):
    law.check()
