"""Time `rft plugins list` with many installed plugins; the goal is 300 in under a second.

    python benchmarks/plugins_list.py --plugins 300 --runs 7

Each plugin is a distribution of its own in a temporary folder: metadata as pip writes it, and
a module that offers a task and a reward. The time includes Python's start.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

METADATA = """\
Metadata-Version: 2.4
Name: rft-fake-{number}
Version: 1.0.{number}
Summary: A plugin to list
Requires-Python: >=3.11
Requires-Dist: pillow
Requires-Dist: rftcore>=0.1
"""
MODULE = """\
import rftcore as rft

def task():
    return rft.Task(name="fake", dataset="jsonl", prompt=print, parser="integer", rewards={{}})

@rft.hookimpl
def rft_tasks():
    return {{"fake-{number}": task}}

@rft.hookimpl
def rft_rewards():
    return {{"fake-reward-{number}": lambda: rft.rewards.exact}}
"""
COMMAND = [sys.executable, "-m", "rftcore.cli", "plugins", "list", "--json"]


def install(folder: Path, number: int) -> None:
    """Write the files that `pip install` of a plugin creates."""
    module = folder / f"rft_fake_{number}"
    module.mkdir()
    (module / "__init__.py").write_text(MODULE.format(number=number))
    info = folder / f"rft_fake_{number}-1.0.{number}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(METADATA.format(number=number))
    (info / "entry_points.txt").write_text(f"[rft]\nfake-{number} = rft_fake_{number}\n")


def seconds(folder: Path, plugins: int) -> float:
    """Wall-clock time of one `rft plugins list` that must list all of them as ok."""
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    start = time.perf_counter()
    done = subprocess.run(
        COMMAND, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    taken = time.perf_counter() - start
    rows = [r for r in json.loads(done.stdout) if r["distribution"].startswith("rft-fake-")]
    assert [row["state"] for row in rows] == ["ok"] * (2 * plugins)
    return taken


def medians(counts: list[int], runs: int) -> dict[int, float]:
    """Median seconds for each number of plugins, alternating, because its speed drifts."""
    with tempfile.TemporaryDirectory() as top:
        folders = {count: Path(top, str(count)) for count in counts}
        for count, folder in folders.items():
            folder.mkdir()
            for number in range(count):
                install(folder, number)
            seconds(folder, count)  # warm up the caches: bytecode, disk
        times = [{c: seconds(f, c) for c, f in folders.items()} for _ in range(runs)]
    return {count: statistics.median(one[count] for one in times) for count in counts}


def main() -> None:
    """Print the median with none of the fake plugins and with all of them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--plugins", type=int, default=300)
    parser.add_argument("--runs", type=int, default=7)
    args = parser.parse_args()
    for count, taken in medians([0, args.plugins], args.runs).items():
        print(f"{count:5d} fake plugins: {taken:.3f} s")


if __name__ == "__main__":
    main()
