"""Diagrams of plane geometry as images: a value, places for its labels, matplotlib.

For other packages too; it depends on nothing else of `rft_structure`. Importing it does
not load matplotlib.
"""

from rft_structure.diagrams.drawing import HIDDEN, Drawing, Points
from rft_structure.diagrams.labels import Box, Label, place
from rft_structure.diagrams.rendering import FIGURES, draw

__all__ = ["FIGURES", "HIDDEN", "Box", "Drawing", "Label", "Points", "draw", "place"]
