"""Text in a terminal: tables with aligned columns, and text without control characters."""

from collections.abc import Sequence


def printable(text: str, *, lines: bool = True) -> str:
    """Text of a model or of data, with characters that move a terminal's cursor as escapes.

    lines: whether line breaks stay; without them it is one line, such as a file name in a message.
    """
    kept = " \n" if lines else " "
    return "".join(
        c if c.isprintable() or c in kept else c.encode("unicode_escape").decode() for c in text
    )


def table(*blocks: Sequence[Sequence[str]]) -> str:
    """Rows as text, each column as wide as its widest cell; a rule between blocks.

    Expects: as many cells in every row. Empty blocks are left out.
    """
    columns = zip(*(row for block in blocks for row in block), strict=True)
    widths = [max(map(len, column)) for column in columns]
    rule = "  ".join("-" * width for width in widths)
    lines: list[str] = []
    for block in filter(None, blocks):
        lines += [rule] * bool(lines)
        for row in block:
            lines.append("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip())
    return "\n".join(lines)
