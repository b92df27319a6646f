"""Train `nano` from scratch: `python -m pretraining --out FOLDER`.

Four stages: the corpus is rendered and packed, the vision tower is trained alone, the
decoder alone, then both together. Each saves its progress: run the command again to resume
it, or with more minutes to train for longer. The same seed gives the same data in the same
order; how many steps fit into the minutes depends on the machine.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from torch.multiprocessing.spawn import spawn

from pretraining.build import train
from pretraining.corpus.library import Library, Sizes


def at_least_one(text: str) -> int:
    """A number on the command line that may not be zero."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser("python -m pretraining", description="Train nano.")
    parser.add_argument(
        "--out", type=Path, required=True, help="working folder: corpus, state, log"
    )
    parser.add_argument("--weights", type=Path, help="folder of the model (default: OUT/weights)")
    parser.add_argument(
        "--minutes",
        type=float,
        nargs=3,
        default=(45.0, 25.0, 75.0),
        metavar=("SEE", "READ", "SPEAK"),
        help="of each stage; more than before resumes it, 0 skips it",
    )
    sizes = Sizes()
    parser.add_argument("--start", type=Path, help="folder of weights to start from")
    parser.add_argument("--scenes", type=int, default=sizes.scenes)
    parser.add_argument("--starts", type=int, default=sizes.starts, help="first images of pairs")
    parser.add_argument("--diagrams", type=int, default=sizes.diagrams)
    parser.add_argument(
        "--report", type=at_least_one, default=200, help="questions per measure in the last report"
    )
    parser.add_argument(
        "--rows",
        type=int,
        nargs=2,
        default=(6, 5),
        metavar=("PICTURED", "WRITTEN"),
        help="rows per step and process",
    )
    parser.add_argument("--cache", type=Path, help="rendered images (default: rft's cache)")
    parser.add_argument(
        "--compile", action="store_true", help="compile the decoder; needs a C++ compiler"
    )
    parser.add_argument("--workers", type=int, default=2, help="number of processes")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def main() -> None:
    """All stages, in order."""
    from rft_scenes import scene_images

    options = arguments()
    sizes = Sizes(options.scenes, options.starts, options.diagrams)
    Library.make(options.out / "corpus", sizes, scene_images(directory=options.cache))
    with tempfile.TemporaryDirectory() as folder:
        meeting = Path(folder) / "team"
        spawn(  # type: ignore[no-untyped-call]
            train, (options, meeting), nprocs=options.workers
        )


if __name__ == "__main__":
    main()
