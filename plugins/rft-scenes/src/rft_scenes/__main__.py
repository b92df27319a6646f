"""`python -m rft_scenes --out grid.png`: draw example scenes of both worlds."""

from __future__ import annotations

import argparse
import io
from pathlib import Path

from rft_scenes.rendering import DEFAULT, render
from rft_scenes.sampling import World, sample_scene

COLUMNS, ROWS, ZOOM = 5, 4, 2


def main() -> None:
    """Draw two rows of shapes and two rows of vehicles, with one to ten objects each."""
    from PIL import Image

    parser = argparse.ArgumentParser(prog="python -m rft_scenes", description=main.__doc__)
    parser.add_argument("--out", type=Path, required=True, help="PNG file to write")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    width, height = DEFAULT.width * ZOOM, DEFAULT.height * ZOOM
    grid = Image.new("RGB", (COLUMNS * width, ROWS * height))
    for i in range(COLUMNS * ROWS):
        world: World = "shapes" if i < COLUMNS * ROWS // 2 else "vehicles"
        scene = sample_scene(args.seed + i, world=world, objects=1 + i % 10)
        tile = Image.open(io.BytesIO(render(scene))).resize((width, height))
        grid.paste(tile, (i % COLUMNS * width, i // COLUMNS * height))
    grid.save(args.out)


if __name__ == "__main__":
    main()
