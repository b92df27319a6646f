"""Diagrams of plane geometry as images, placed and drawn with matplotlib.

Public, also for other packages; it imports nothing else of `rft_structure`. Importing it
does not import matplotlib.
"""

from rft_structure.diagrams.drawing import HIDDEN, Drawing, Points
from rft_structure.diagrams.labels import Box, Label, place
from rft_structure.diagrams.rendering import FIGURES, draw

__all__ = ["FIGURES", "HIDDEN", "Box", "Drawing", "Label", "Points", "draw", "place"]
