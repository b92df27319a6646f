"""Time the data check before a run (`checks.check`) and by `rft data check` (`audit`).

    python benchmarks/data_check.py --pairs 1000

Writes a miniature of the paper's transformation data: rows with two images each, of the size
of TRANCE's (320 x 240), as one JSON file and PNG files. There are only a few
distinct images; each file is a copy with random bytes after the image, so that no two files
are equal and every one is decoded. The time is proportional to the number of pairs, because
every row is checked separately.
"""

import argparse
import json
import os
import random
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from rft_scenes.rendering import RenderSettings
from rft_transformation import transformation
from rft_transformation.dataset import TransformationScenes

from rftcore.datasets import JsonlDataset, checks, sample_check, slices
from rftcore.datasets.audit import audit
from rftcore.distributed import cores
from rftcore.images import Image
from rftcore.types import Sample, Task

PAPER_PAIRS = 60_000
SIZE = RenderSettings(width=320, height=240)


def drawn(count: int) -> list[Sample]:
    """Samples with rendered images."""
    dataset = TransformationScenes(
        objects_low=3,
        objects_high=5,
        calls_low=1,
        calls_high=4,
        sizes={"test": count},
        settings=SIZE,
    )
    dataset.prepare("test", range(count))
    return [dataset.sample("test", at) for at in range(count)]


def write(folder: Path, samples: Sequence[Sample], pairs: int) -> Path:
    """Write the file of rows and one file per image; returns the path of the rows."""
    rng = random.Random(0)
    (folder / "images").mkdir()
    with (folder / "train.jsonl").open("w", encoding="utf-8") as file:
        for number in range(pairs):
            sample = samples[number % len(samples)]
            names = [_image(folder, image, number, rng) for image in sample.images]
            row = {
                "id": str(number),
                "question": f"Scene {number}. {sample.question}",
                "answer": sample.gold,
                "cot": sample.cot,
                "images": names,
                "split": "sft" if number % 2 else "rl",
            }
            file.write(json.dumps(row) + "\n")
    return folder / "train.jsonl"


def _image(folder: Path, image: Image, number: int, rng: random.Random) -> str:
    name = f"images/{number}-{rng.getrandbits(32):08x}.png"
    (folder / name).write_bytes(image.read() + rng.randbytes(16))
    return name


def before_a_run(task: Task, threads: int) -> None:
    """The check of `rft train` before a new run, without a processor."""
    parts = [slices.take(task, split) for split in ("sft", "rl")]
    checks.check(task, parts, progress=False, threads=threads)


def data_check(task: Task, threads: int) -> None:
    """The check of `rft data check`."""
    if not isinstance(task.dataset, JsonlDataset):
        raise TypeError(task.dataset)
    audit(
        task.dataset,
        slices.parser_of(task),
        task.prompt,
        unusable=partial(sample_check.unusable, task),
        progress=False,
        threads=threads,
    )


def timed(what: str, work: Callable[[], object], pairs: int) -> None:
    """Print the time of `work` on `pairs` rows."""
    start, cpu = time.perf_counter(), time.process_time()
    work()
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    minutes = wall / pairs * PAPER_PAIRS / 60
    print(
        f"{what:<40}{wall / pairs * 1000:8.2f} s per 1,000 pairs ({cpu / pairs * 1000:.2f} s of "
        f"CPU){minutes:8.1f} min for {PAPER_PAIRS:,}",
        flush=True,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--distinct", type=int, default=50, help="pairs that are rendered")
    parser.add_argument("--threads", type=int, default=cores())
    args = parser.parse_args()
    samples, task, number = drawn(min(args.distinct, args.pairs)), transformation(), args.pairs
    with tempfile.TemporaryDirectory(prefix="rft-pairs-") as name:
        os.environ["RFT_CACHE"] = f"{name}/cache"
        path = write(Path(name), samples, number)
        size = sum(image.stat().st_size for image in path.parent.glob("images/*"))
        print(f"{number} pairs, {size / 2000 / number:.0f} kB per image, {cores()} cores")

        def show(what: str, work: Callable[[Task, int], None], threads: int) -> None:
            fresh = replace(task, dataset=JsonlDataset(path))
            timed(f"{what}, {threads or 'no'} threads", partial(work, fresh, threads), number)

        for what, work in (("before a run", before_a_run), ("rft data check", data_check)):
            for threads in (0, args.threads):
                shutil.rmtree(f"{name}/cache", ignore_errors=True)
                show(what, work, threads)
            show(f"{what}, again", work, args.threads)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MiB")


if __name__ == "__main__":
    main()
