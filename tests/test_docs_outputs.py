"""Documentation shows what commands print today.

In a `console` block, a line that starts with `$ ` is a command and the lines below
it are its output. Commands with an output run in order, in one empty folder per
page; blocks with a title (`yaml title="wrong.yaml"`) are written there first.

A line `...` stands for any number of lines. Dates, durations and line numbers are
not compared, nor are the numbers that a smoke run prints. A command with a file in
tests/recorded/ is compared with that file instead of being run.

Run `python tests/test_docs_outputs.py` (`make docs-outputs`) to write today's
output into the pages, and the recorded table of accuracies into README and index.
"""

import difflib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [
    page
    for pattern in ("README.md", "CONTRIBUTING.md", "docs/**/*.md", "*/*/README.md")
    for page in sorted(ROOT.glob(pattern))
]
TABLES = [ROOT / "README.md", ROOT / "docs" / "index.md"]
BLOCK = re.compile(r"^```(\w+)(?: title=\"(.+?)\")?\n(.*?)^```$", re.M | re.S)
RECORDED = {
    command: lines
    for file in sorted(Path(__file__).parent.glob("recorded/*.txt"))
    for command, *lines in [file.read_text().removeprefix("$ ").splitlines()]
}


@dataclass(frozen=True)
class Shown:
    """A command of a page and the output below it."""

    command: str
    lines: list[str]


def shown(block: str) -> Iterator[Shown]:
    """Each command of a console block."""
    for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
        command = re.match(r"(?:.*\\\n)*.*", part)
        assert command
        yield Shown(command[0], part[command.end() :].splitlines()[1:])


def blocks(page: Path) -> list[tuple[str, str, str]]:
    """(language, title, text) of each code block."""
    return BLOCK.findall(page.read_text())


def printed(command: str, folder: Path) -> list[str]:
    """What a command prints, as lines."""
    if command in RECORDED:
        return RECORDED[command]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    result = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    text = result.stdout.replace(f"{folder}/", "").replace(str(ROOT), "~/rft")
    return [line.rstrip() for line in text.splitlines()]


def comparable(line: str, command: str) -> str:
    """A line without what differs from run to run."""
    line = re.sub(r"\d{8}-\d{6}", "DATE-TIME", line)
    line = re.sub(r"\b\d+:\d\d\b|\b\d+\.\d s\b", "TIME", line)
    line = re.sub(r"\.py, line \d+", ".py, line N", line)
    if command.startswith("rft train") and "--smoke" in command:
        line = re.sub(r"[+-]?\d+(\.\d+)?(e[+-]\d+)?", "N", line)
    return line


def same(old: Shown, lines: list[str]) -> bool:
    """Whether the output shown is the one printed, but for what `...` leaves out."""
    pattern = "".join(
        r"(?:.*\n)*?" if line == "..." else re.escape(comparable(line, old.command)) + "\n"
        for line in old.lines
    )
    text = "".join(comparable(line, old.command) + "\n" for line in lines)
    return re.fullmatch(pattern, text) is not None


def elided(old: Shown, lines: list[str]) -> list[str]:
    """The lines printed, leaving out what the page left out.

    Each line of the page keeps the most similar line printed; lines without a
    counterpart are left out where the page has `...`, and shown elsewhere.
    """
    if "..." not in old.lines:
        return lines
    kept: dict[int, int] = {}  # line printed -> line of the page
    start = 0
    for place, line in enumerate(old.lines):
        scores = [
            difflib.SequenceMatcher(None, comparable(line, ""), comparable(new, "")).ratio()
            for new in lines[start:]
        ]
        if line != "..." and scores and max(scores) > 0.6:
            start += scores.index(max(scores)) + 1
            kept[start - 1] = place
    result: list[str] = []
    place = -1
    for number, line in enumerate(lines):
        following = min((p for n, p in kept.items() if n >= number), default=len(old.lines))
        if number in kept:
            place = kept[number]
            result.append(line)
        elif "..." not in old.lines[place + 1 : following]:
            result.append(line)
        elif result[-1:] != ["..."]:
            result.append("...")
    return result


def differences(page: Path, folder: Path) -> list[tuple[Shown, list[str]]]:
    """The commands of a page whose output is another today, with that output."""
    for _, title, text in blocks(page):
        if title:
            (folder / title).write_text(text)
    commands = [
        command
        for language, _, text in blocks(page)
        if language == "console"
        for command in shown(text)
        if command.lines
    ]
    outputs = [(command, printed(command.command, folder)) for command in commands]
    return [(command, lines) for command, lines in outputs if not same(command, lines)]


def with_outputs() -> list[Path]:
    """The pages that show an output."""
    return [page for page in PAGES if any(block[0] == "console" for block in blocks(page))]


@pytest.mark.parametrize("page", with_outputs(), ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_shows_what_its_commands_print(page: Path, tmp_path: Path) -> None:
    found = [
        "\n".join(difflib.unified_diff(old.lines, lines, f"$ {old.command}", "printed", n=1))
        for old, lines in differences(page, tmp_path)
    ]

    assert not found, "`make docs-outputs` updates the pages:\n" + "\n".join(found)


def table(text: str) -> str:
    """The rows of a page's table of accuracies."""
    found = re.search(r"^\| accuracy % .*\n\|[-|]+\n(?:\|.*\n)+", text, re.M)
    assert found
    return found[0]


def recorded_table() -> str:
    """The table that the recorded run of the default task ends with, as Markdown."""
    lines = RECORDED["rft train --task counting"]
    first = next(i for i, line in enumerate(lines) if line.startswith("accuracy %"))
    last = lines.index("", first)
    rows = [re.split(r"  +", line) for line in lines[first:last] if not line.startswith("--")]
    marked = ["| " + " | ".join(row) + " |\n" for row in rows]
    return "".join([marked[0], "|" + "---|" * len(rows[0]) + "\n", *marked[1:]])


@pytest.mark.parametrize("page", TABLES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_table_of_the_default_run_is_the_recorded_one(page: Path) -> None:
    assert table(page.read_text()) == recorded_table()


def test_an_elision_matches_any_number_of_lines() -> None:
    old = Shown("rft x", ["a 1:00", "...", "c"])

    assert same(old, ["a 2:30", "c"])
    assert same(old, ["a 2:30", "b", "b", "c"])
    assert not same(old, ["a 2:30", "b", "d"])


def test_an_update_leaves_out_what_the_page_left_out() -> None:
    old = Shown("rft x", ["first line", "...", "last line: 5 pictures"])

    assert elided(old, ["first line", "b", "c", "last line: 5 images", "new"]) == [
        "first line",
        "...",
        "last line: 5 images",
        "new",
    ]


def update() -> None:
    """Write today's output into every page that shows another."""
    import tempfile

    for page in with_outputs():
        with tempfile.TemporaryDirectory() as folder:
            text = page.read_text()
            for old, lines in differences(page, Path(folder)):
                before = "\n".join([f"$ {old.command}", *old.lines]) + "\n"
                after = "\n".join([f"$ {old.command}", *elided(old, lines)]) + "\n"
                text = text.replace(before, after)
                print(f"{page.relative_to(ROOT)}: $ {old.command}")
            page.write_text(text)
    for page in TABLES:
        text = page.read_text()
        page.write_text(text.replace(table(text), recorded_table()))


if __name__ == "__main__":
    update()
