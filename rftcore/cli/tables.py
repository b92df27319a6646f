"""Columns that line up."""

from collections.abc import Iterator, Sequence


def printable(text: str) -> str:
    """Text of a model or of data, with what would move a terminal's cursor as escapes."""
    return "".join(
        c if c.isprintable() or c in " \n" else c.encode("unicode_escape").decode() for c in text
    )


def table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The lines of a table; every row has a cell per column."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
