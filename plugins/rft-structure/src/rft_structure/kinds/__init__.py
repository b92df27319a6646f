"""The kinds of problem: a figure with whole measures, given and asked quantities.

Each kind needs one set of theorems, which `derivation` finds. No set of `HELD_OUT`
occurs in `TRAINED`, and no theorem occurs only in `HELD_OUT`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rft_structure.drafting import Asked, Draft
from rft_structure.kinds import circles, lines, measures, parallels, triangles


@dataclass(frozen=True)
class Kind:
    """A named generator of problems; kinds of one family share a topic."""

    name: str
    family: str
    make: Callable[[Draft], Asked]


TRAINED = (
    Kind("third-angle", "triangle", triangles.third_angle),
    Kind("base-angle", "isosceles", triangles.base_angle),
    Kind("apex-angle", "isosceles", triangles.apex_angle),
    Kind("apex-outside", "isosceles", triangles.apex_outside),
    Kind("outer-angle", "exterior", triangles.outer_angle),
    Kind("from-outer-angle", "exterior", triangles.from_outer_angle),
    Kind("last-angle", "polygon", triangles.last_angle),
    Kind("on-a-line", "crossing", lines.on_a_line),
    Kind("crossing", "crossing", lines.crossing),
    Kind("three-lines", "crossing", lines.three_lines),
    Kind("bow-tie", "crossing", lines.bow_tie),
    Kind("through-bow-tie", "crossing", lines.through_bow_tie),
    Kind("alternate", "parallel", parallels.alternate),
    Kind("corresponding", "parallel", parallels.corresponding),
    Kind("co-interior", "parallel", parallels.co_interior),
    Kind("corresponding-then-line", "parallel", parallels.corresponding_then_line),
    Kind("alternate-then-triangle", "parallel", parallels.alternate_then_triangle),
    Kind("co-interior-then-triangle", "parallel", parallels.co_interior_then_triangle),
    Kind("angle-at-circle", "inscribed", circles.angle_at_circle),
    Kind("circle-then-isosceles", "inscribed", circles.circle_then_isosceles),
    Kind("over-diameter", "semicircle", circles.over_diameter),
    Kind("sides-over-diameter", "semicircle", circles.sides_over_diameter),
    Kind("area-over-diameter", "semicircle", circles.area_over_diameter),
    Kind("around-over-diameter", "semicircle", circles.around_over_diameter),
    Kind("tangent-angle", "tangent", circles.tangent_angle),
    Kind("tangent-length", "tangent", circles.tangent_length),
    Kind("right-triangle", "pythagoras", measures.right_triangle),
    Kind("hypotenuse-then-area", "pythagoras", measures.hypotenuse_then_area),
    Kind("diagonal-then-area", "pythagoras", measures.diagonal_then_area),
    Kind("diagonal-then-perimeter", "pythagoras", measures.diagonal_then_perimeter),
    Kind("hourglass", "similar", measures.hourglass),
    Kind("right-triangle-area", "area", measures.right_triangle_area),
    Kind("rectangle-area", "area", measures.rectangle_area),
    Kind("rectangle-perimeter", "area", measures.rectangle_perimeter),
    Kind("trapezium-area", "area", measures.trapezium_area),
    Kind("circle-area", "circle", circles.circle_area),
    Kind("circumference", "circle", circles.circumference),
    Kind("sector-area", "circle", circles.sector_area),
)
HELD_OUT = (
    Kind("equal-bow-tie", "crossing", lines.equal_bow_tie),
    Kind("corresponding-then-triangle", "parallel", parallels.corresponding_then_triangle),
    Kind("co-interior-then-isosceles", "parallel", parallels.co_interior_then_isosceles),
    Kind("alternate-then-outer", "parallel", parallels.alternate_then_outer),
    Kind("quadrilateral-outside", "polygon", parallels.quadrilateral_outside),
    Kind("circle-then-triangle", "inscribed", circles.circle_then_triangle),
    Kind("two-tangents", "tangent", circles.two_tangents),
    Kind("tangent-then-circle", "tangent", circles.tangent_then_circle),
    Kind("slope-then-trapezium", "pythagoras", measures.slope_then_trapezium),
    Kind("hourglass-then-perimeter", "similar", measures.hourglass_then_perimeter),
    Kind("right-hourglass", "similar", measures.right_hourglass),
)
