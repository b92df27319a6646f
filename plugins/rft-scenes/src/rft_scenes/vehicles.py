"""Twenty-one vehicles built from boxes, rods and balls.

A model rests on z = 0 (to 0.02), points along +x and fits into the upright cylinder of
radius 1 about the origin; the renderer scales it. Wheels, wings and windows are
exaggerated, because vehicles are only 10 to 25 pixels long in an image. Only "body"
parts have the object's color and material.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Paint = Literal["body", "tire", "window", "trim"]
Point = tuple[float, float, float]


@dataclass(frozen=True)
class Box:
    """A box with half edges `half`, rotated by `pitch` (about y), then `yaw` (about z), degrees."""

    center: Point
    half: Point
    paint: Paint = "body"
    yaw: float = 0.0
    pitch: float = 0.0


@dataclass(frozen=True)
class Rod:
    """A closed cylinder from `start` to `end`."""

    start: Point
    end: Point
    radius: float
    paint: Paint = "body"


@dataclass(frozen=True)
class Ball:
    """A sphere."""

    center: Point
    radius: float
    paint: Paint = "body"


Part = Box | Rod | Ball
Parts = tuple[Part, ...]


def parts(shape: str, variant: str) -> Parts:
    """The parts of one model, e.g. ("car", "sedan")."""
    return _MODELS[shape, variant]


def _wheel(x: float, y: float, radius: float, width: float) -> Parts:
    """A tire with a bright hub; the axle is along y."""
    return (
        Rod((x, y - width / 2, radius), (x, y + width / 2, radius), radius, "tire"),
        Rod(
            (x, y - width / 2 - 0.012, radius),
            (x, y + width / 2 + 0.012, radius),
            radius * 0.45,
            "trim",
        ),
    )


def _axles(xs: tuple[float, ...], y: float, radius: float, width: float) -> Parts:
    return tuple(part for x in xs for side in (-y, y) for part in _wheel(x, side, radius, width))


def _hoop(x: float, radius: float, thick: float, sides: int = 14) -> Parts:
    """A bicycle wheel: a ring of boxes, four spokes, in the plane y = 0."""
    mid = radius - thick
    reach = mid * math.tan(math.pi / sides) + thick * 0.3
    ring = []
    for i in range(sides):
        turn = 2 * math.pi * i / sides
        place = (x + mid * math.cos(turn), 0.0, radius + mid * math.sin(turn))
        # pitch turns x towards -z, so this lays the box's x edge along the tangent
        ring.append(Box(place, (reach, thick, thick), "tire", pitch=-math.degrees(turn) - 90))
    hub = Rod((x, -0.07, radius), (x, 0.07, radius), 0.07, "trim")
    return (*ring, hub)


def _pair(x: float, y: float, z: float, half: Point, yaw: float) -> Parts:
    """Two mirrored wings, swept back by `yaw`."""
    return (
        Box((x, y, z), half, yaw=yaw),
        Box((x, -y, z), half, yaw=-yaw),
    )


# Cars: a low body, dark windows under a painted roof, four wheels.


def _car(front: float, back: float, roof: float, belt: float = 0.46) -> Parts:
    """Windows and roof span x from `back` to `front`, up to z = `roof`."""
    middle, half = (front + back) / 2, (front - back) / 2
    return (
        Box((0, 0, (belt + 0.14) / 2), (0.93, 0.40, (belt - 0.14) / 2)),
        Box((middle, 0, (roof + belt) / 2), (half, 0.35, (roof - belt) / 2), "window"),
        Box((middle, 0, roof), (half * 0.88, 0.34, 0.035)),
        Box((0.92, 0.27, belt - 0.1), (0.03, 0.08, 0.05), "trim"),
        Box((0.92, -0.27, belt - 0.1), (0.03, 0.08, 0.05), "trim"),
        *_axles((-0.58, 0.58), 0.38, 0.22, 0.14),
    )


# Buses: a long, tall box with a row of windows.


def _coach(start: float, end: float, roof: float, rows: tuple[float, ...] = (0.66,)) -> Parts:
    """A box from x = `start` to `end`; one row of windows at each height."""
    middle, half = (start + end) / 2, (end - start) / 2
    count = max(2, round(half * 2 / 0.34))
    step = 2 * half / count
    windows = (
        Box((start + step * (i + 0.5), side, row), (step * 0.37, 0.02, 0.125), "window")
        for row in rows
        for i in range(count)
        for side in (-0.31, 0.31)
    )
    return (Box((middle, 0, (roof + 0.12) / 2), (half, 0.31, (roof - 0.12) / 2)), *windows)


def _windshield(x: float, z: float) -> Box:
    return Box((x, 0, z), (0.02, 0.26, 0.13), "window")


# Bicycles: two thin hoops and a painted tube frame.


def _tubes(radius: float, *runs: tuple[Point, Point]) -> Parts:
    return tuple(Rod(start, end, radius) for start, end in runs)


def _bicycle(thick: float, tube: float = 0.075, bar: float = 0.22, lift: float = 0.0) -> Parts:
    hub_back, hub_front = (-0.55, 0.0, 0.43), (0.55, 0.0, 0.43)
    crank, seat, head = (-0.08, 0.0, 0.36), (-0.24, 0.0, 0.86), (0.36, 0.0, 0.86)
    grip = (0.32, 0.0, 1.0 + lift)
    return (
        *_hoop(-0.55, 0.43, thick),
        *_hoop(0.55, 0.43, thick),
        *_tubes(
            tube,
            (hub_back, crank),
            (hub_back, seat),
            (crank, seat),
            (seat, head),
            (crank, head),
            (head, hub_front),
            (head, grip),
        ),
        Rod((0.32, -bar, 1.0 + lift), (0.32, bar, 1.0 + lift), 0.045, "tire"),
        Box((-0.27, 0, 0.95), (0.15, 0.08, 0.04), "tire"),
    )


def _tandem() -> Parts:
    """Two saddles, two cranks, one long frame."""
    hub_back, hub_front = (-0.62, 0.0, 0.36), (0.62, 0.0, 0.36)
    low = ((-0.25, 0.0, 0.3), (0.18, 0.0, 0.3))
    high = ((-0.38, 0.0, 0.78), (0.06, 0.0, 0.78), (0.46, 0.0, 0.78))
    return (
        *_hoop(-0.62, 0.36, 0.05),
        *_hoop(0.62, 0.36, 0.05),
        *_tubes(
            0.07,
            (hub_back, low[0]),
            (low[0], low[1]),
            (low[0], high[0]),
            (hub_back, high[0]),
            (low[1], high[1]),
            (high[0], high[2]),
            (low[1], high[2]),
            (high[2], hub_front),
        ),
        Rod((0.44, -0.22, 0.92), (0.44, 0.22, 0.92), 0.045, "tire"),
        Rod((0.04, -0.16, 0.88), (0.04, 0.16, 0.88), 0.04, "tire"),
        Box((-0.42, 0, 0.87), (0.13, 0.08, 0.04), "tire"),
        Box((-0.06, 0, 0.87), (0.12, 0.08, 0.04), "tire"),
    )


# Motorbikes: two fat wheels close to a solid painted body.


def _motorbike(front: float, grip: Point, wheel: float = 0.34) -> Parts:
    """The front wheel is at x = `front`; the fork ends at the handlebar at `grip`."""
    fork = [
        Rod((front, side, wheel), (grip[0], side, grip[2]), 0.045, "trim") for side in (-0.12, 0.12)
    ]
    return (
        *_wheel(-0.58, 0, wheel, 0.24),
        *_wheel(front, 0, wheel, 0.2),
        *fork,
        Rod((grip[0], -0.34, grip[2]), (grip[0], 0.34, grip[2]), 0.05, "tire"),
        Box((0, 0, 0.3), (0.24, 0.15, 0.14), "trim"),
    )


# Aeroplanes: a tube, wide wings, a tail fin.


def _tube(radius: float, nose: float, tail: float, height: float) -> Parts:
    return (
        Rod((tail, 0, height), (nose, 0, height), radius),
        Ball((nose, 0, height), radius),
        Box((nose + radius * 0.45, 0, height + radius * 0.55), (0.07, 0.1, 0.05), "window"),
        Ball((tail, 0, height), radius),
    )


def _airliner() -> Parts:
    engines = (Rod((-0.02, side, 0.24), (0.26, side, 0.24), 0.08, "trim") for side in (-0.42, 0.42))
    return (
        *_tube(0.15, 0.8, -0.75, 0.36),
        *_pair(-0.1, 0.46, 0.34, (0.14, 0.46, 0.03), 24),
        *_pair(-0.8, 0.18, 0.42, (0.08, 0.22, 0.025), 24),
        Box((-0.8, 0, 0.66), (0.13, 0.03, 0.2), pitch=20),
        *engines,
    )


def _jet() -> Parts:
    """A business jet: engines on the fuselage, a T-tail."""
    engines = (Rod((-0.62, side, 0.46), (-0.3, side, 0.46), 0.09, "trim") for side in (-0.24, 0.24))
    return (
        *_tube(0.14, 0.8, -0.7, 0.36),
        *_pair(0.0, 0.4, 0.3, (0.15, 0.4, 0.03), 12),
        Box((-0.76, 0, 0.62), (0.13, 0.03, 0.2), pitch=20),
        Box((-0.84, 0, 0.84), (0.1, 0.34, 0.03)),
        *engines,
    )


def _biplane() -> Parts:
    """Two straight wings, one above the other, and a propeller."""
    struts = (
        Rod((0.25, side, 0.22), (0.25, side, 0.7), 0.035, "tire")
        for side in (-0.6, -0.25, 0.25, 0.6)
    )
    return (
        *_tube(0.16, 0.6, -0.65, 0.42),
        Box((0.25, 0, 0.72), (0.2, 0.9, 0.03)),
        Box((0.25, 0, 0.24), (0.18, 0.8, 0.03)),
        Box((-0.72, 0, 0.46), (0.1, 0.34, 0.03)),
        Box((-0.76, 0, 0.64), (0.1, 0.03, 0.16)),
        Box((0.79, 0, 0.42), (0.025, 0.06, 0.36), "tire"),
        *struts,
        *_axles((0.4,), 0.25, 0.12, 0.08),
    )


_MODELS: Mapping[tuple[str, str], Parts] = MappingProxyType(
    {
        ("car", "sedan"): _car(front=0.40, back=-0.48, roof=0.74),
        ("car", "suv"): _car(front=0.42, back=-0.88, roof=0.94, belt=0.55),
        ("car", "wagon"): _car(front=0.36, back=-0.86, roof=0.74),
        ("car", "minivan"): (
            *_car(front=0.58, back=-0.88, roof=0.88),
            Box((0.62, 0, 0.56), (0.24, 0.34, 0.05), "window", pitch=40),
        ),
        # A pickup: cabin in front, open bed behind.
        ("car", "truck"): (
            *_car(front=0.45, back=-0.10, roof=0.86, belt=0.50),
            Box((-0.52, 0, 0.47), (0.34, 0.32, 0.04), "tire"),
            Box((-0.52, 0.37, 0.56), (0.41, 0.03, 0.07)),
            Box((-0.52, -0.37, 0.56), (0.41, 0.03, 0.07)),
            Box((-0.90, 0, 0.56), (0.03, 0.40, 0.07)),
        ),
        ("bus", "articulated"): (
            *_coach(-0.95, -0.08, 0.88),
            *_coach(0.08, 0.95, 0.88),
            Box((0, 0, 0.48), (0.1, 0.26, 0.34), "tire"),
            _windshield(0.95, 0.62),
            *_axles((-0.65, 0.3, 0.72), 0.28, 0.17, 0.12),
        ),
        ("bus", "double"): (
            *_coach(-0.9, 0.9, 1.25, rows=(0.55, 0.98)),
            _windshield(0.9, 0.55),
            _windshield(0.9, 0.98),
            *_axles((-0.55, 0.55), 0.28, 0.18, 0.12),
        ),
        ("bus", "regular"): (
            *_coach(-0.95, 0.95, 0.92),
            _windshield(0.95, 0.64),
            *_axles((-0.55, 0.6), 0.28, 0.18, 0.12),
        ),
        # With the engine in a low nose.
        ("bus", "school"): (
            *_coach(-0.95, 0.58, 0.94),
            Box((0.75, 0, 0.34), (0.2, 0.27, 0.2)),
            _windshield(0.58, 0.7),
            Box((-0.18, 0, 0.42), (0.72, 0.325, 0.03), "tire"),
            *_axles((-0.55, 0.7), 0.28, 0.18, 0.12),
        ),
        ("bicycle", "utility"): (
            *_bicycle(0.05, lift=0.06),
            Box((0.62, 0, 0.98), (0.16, 0.17, 0.11), "trim"),
            Box((-0.62, 0, 0.9), (0.24, 0.1, 0.03)),
        ),
        ("bicycle", "tandem"): _tandem(),
        ("bicycle", "road"): (
            *_bicycle(0.042, tube=0.065, bar=0.15),
            Rod((0.46, 0.15, 0.88), (0.32, 0.15, 1.0), 0.045, "tire"),
            Rod((0.46, -0.15, 0.88), (0.32, -0.15, 1.0), 0.045, "tire"),
        ),
        ("bicycle", "mountain"): _bicycle(0.085, tube=0.085, bar=0.3),
        # A long raked fork and high handlebars.
        ("motorbike", "chopper"): (
            *_motorbike(0.74, (0.2, 0, 1.0), wheel=0.3),
            Box((0.02, 0, 0.62), (0.26, 0.17, 0.14), pitch=-15),
            Box((-0.38, 0, 0.54), (0.2, 0.18, 0.07), "tire"),
            Box((-0.66, 0, 0.66), (0.24, 0.14, 0.06), pitch=15),
            Rod((-0.6, 0.22, 0.2), (0.2, 0.22, 0.2), 0.06, "trim"),
        ),
        # Small wheels, a flat floor, a front shield and a box seat.
        ("motorbike", "scooter"): (
            *_wheel(-0.52, 0, 0.24, 0.2),
            *_wheel(0.6, 0, 0.24, 0.18),
            Box((0.05, 0, 0.24), (0.5, 0.2, 0.06)),
            Box((-0.46, 0, 0.52), (0.34, 0.22, 0.16)),
            Box((-0.42, 0, 0.72), (0.3, 0.18, 0.06), "tire"),
            Box((0.48, 0, 0.58), (0.07, 0.27, 0.36), pitch=-15),
            Rod((0.38, -0.32, 1.0), (0.38, 0.32, 1.0), 0.05, "tire"),
        ),
        ("motorbike", "cruiser"): (
            *_motorbike(0.64, (0.36, 0, 0.84)),
            Box((0.12, 0, 0.62), (0.3, 0.2, 0.16)),
            Ball((0.3, 0, 0.64), 0.19),
            Box((-0.32, 0, 0.58), (0.22, 0.17, 0.07), "tire"),
            Box((-0.66, 0, 0.68), (0.26, 0.15, 0.06)),
            Box((-0.6, 0.24, 0.42), (0.22, 0.09, 0.14)),
            Box((-0.6, -0.24, 0.42), (0.22, 0.09, 0.14)),
        ),
        # A high beak over the front wheel, a thin high tail.
        ("motorbike", "dirtbike"): (
            *_motorbike(0.62, (0.34, 0, 0.98), wheel=0.36),
            Box((0.1, 0, 0.68), (0.26, 0.16, 0.15)),
            Box((0.66, 0, 0.86), (0.26, 0.11, 0.045), pitch=12),
            Box((-0.3, 0, 0.8), (0.34, 0.11, 0.05), "tire"),
            Box((-0.68, 0, 0.88), (0.24, 0.12, 0.05), pitch=12),
        ),
        ("aeroplane", "airliner"): _airliner(),
        ("aeroplane", "biplane"): _biplane(),
        ("aeroplane", "jet"): _jet(),
        # A long nose, wings swept far back, two fins.
        ("aeroplane", "fighter"): (
            *_tube(0.14, 0.72, -0.7, 0.32),
            Rod((0.72, 0, 0.32), (0.94, 0, 0.32), 0.06),
            Box((0.35, 0, 0.46), (0.2, 0.09, 0.06), "window"),
            *_pair(-0.28, 0.34, 0.3, (0.24, 0.44, 0.03), 40),
            Box((-0.55, 0, 0.3), (0.22, 0.42, 0.03)),
            Box((-0.66, 0.2, 0.52), (0.15, 0.03, 0.18), pitch=20),
            Box((-0.66, -0.2, 0.52), (0.15, 0.03, 0.18), pitch=20),
            Rod((-0.95, 0, 0.32), (-0.7, 0, 0.32), 0.11, "trim"),
        ),
    }
)
