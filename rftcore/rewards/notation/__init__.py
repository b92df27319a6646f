"""Read one answer in LaTeX or plain notation: words, parts, or values with units.

Text in, parts that JSON can hold out; `algebra` compares them. `read` takes bounded
time and returns a part for any text, or raises `UnreadableError` with the reason.

    words   compared as text, ignoring case: Yes, café, 5 apples
    list    parts in any order: 1, 2 and 3
    set     \\{1, 2\\}
    row     parts in order, between brackets or other marks: (1, 2), [0, 1), 3:4, 2024-05-01
    union   parts in any order: (-oo, 1) U (2, oo)
    value   one expression as LaTeX, with its unit: \\frac{\\pi}{2}, 5 cm, $5.25
"""

from rftcore.rewards.notation.part import Part, UnreadableError
from rftcore.rewards.notation.structure import LONGEST, read

__all__ = ["LONGEST", "Part", "UnreadableError", "read"]
