"""Pack a batch: each group's prompt once, then its completions side by side.

    plain    p p p p a a a       packed   p p p | p a a a | p b b
             p p p p b b .

A segment (between the bars) starts with the prompt's last token, whose output
predicts the completion's first, so labels shift inside a segment as in any
causal model. A token attends to its group's prompt, which is stored
without that last token, and to the tokens before it in its own segment. Tokens
keep the position numbers of the plain form, so the model computes the same
numbers at other places.

Several groups share a row of the packed batch where they fit beside one
another, since groups may differ in size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rftcore.training.shared_prefix.groups import Group

PROMPT = 0  # the segment number of a group's prompt
EMPTY = -1  # the group number of an empty cell


@dataclass(frozen=True)
class Packing:
    """Where each cell of the packed batch (R, L) comes from.

    row, column: the cell of the plain batch that it copies. group: its group, or
    EMPTY. segment: PROMPT, or the row whose completion it belongs to, plus one.
    leads: whether it is the copy of the prompt's last token that opens a segment.
    order: the groups in the order of their prompts in the packed batch.
    """

    row: Tensor
    column: Tensor
    group: Tensor
    segment: Tensor
    leads: Tensor
    order: Sequence[int]

    def pack(self, plain: Tensor, empty: int) -> Tensor:
        """A plain (B, T) tensor in the packed layout (R, L), `empty` in empty cells."""
        return plain[self.row, self.column].masked_fill(self.group == EMPTY, empty)

    def labels(self, plain: Tensor) -> Tensor:
        """Labels (R, L) for the packed batch: those of the completions alone."""
        hidden = (self.segment == PROMPT) | self.leads
        return self.pack(plain, -100).masked_fill(hidden, -100)

    def mask(self) -> Tensor:
        """Attention mask (R, 1, L, L): True where a query (third) attends to a key (fourth).

        An empty cell attends to the empty ones before it, because a query that
        attends to nothing has no softmax.
        """
        place = torch.arange(self.group.shape[1], device=self.group.device)
        before = place[:, None] >= place
        mine = self.group[:, :, None] == self.group[:, None, :]
        open_to = (self.segment == PROMPT)[:, None, :]
        own = self.segment[:, :, None] == self.segment[:, None, :]
        return (before & mine & (open_to | own))[:, None]

    def unpack(self, packed: Tensor, shape: torch.Size) -> Tensor:
        """Per-token results (R, L - 1) back in the plain form (B, T - 1).

        In both layouts a result is one place before its token.
        """
        scored = (self.segment != PROMPT) & ~self.leads & (self.group != EMPTY)
        row, place = scored.nonzero(as_tuple=True)
        values = packed[row, place - 1]
        where = (self.row[row, place], self.column[row, place] - 1)
        return packed.new_zeros(shape[0], shape[1] - 1).index_put(where, values)


def lay_out(attention_mask: Tensor, groups: Sequence[Group], start: int) -> Packing:
    """Pack a batch whose completions begin at column `start`.

    attention_mask: (B, T), 1 for the tokens that exist. Those of a row's
    completion follow one another from `start`, and the column before it exists.
    """
    mask = attention_mask.bool().cpu()
    blocks = [_block(mask, group, number, start) for number, group in enumerate(groups)]
    rows = fill([block.shape[1] for block in blocks])
    order = [number for row in rows for number in row]
    cells = [torch.cat([blocks[number] for number in row], dim=1) for row in rows]
    length = max(cell.shape[1] for cell in cells)
    padded = torch.zeros(5, len(cells), length, dtype=torch.long)
    padded[2] = EMPTY
    for i, cell in enumerate(cells):
        padded[:, i, : cell.shape[1]] = cell
    row, column, group, segment, leads = padded.to(attention_mask.device)
    return Packing(row, column, group, segment, leads.bool(), order)


def _block(mask: Tensor, group: Group, number: int, start: int) -> Tensor:
    """One group's cells (5, length): row, column, group, segment, whether it leads."""
    prompt = mask[group[0], : start - 1].nonzero()[:, 0]
    parts = [_cells(prompt, group[0], number, PROMPT)]
    for row in group:
        completion = torch.arange(start - 1, start + int(mask[row, start:].sum()))
        part = _cells(completion, row, number, row + 1)
        part[4, 0] = 1
        parts.append(part)
    return torch.cat(parts, dim=1)


def _cells(columns: Tensor, row: int, group: int, segment: int) -> Tensor:
    facts = torch.tensor([row, 0, group, segment, 0])[:, None].repeat(1, len(columns))
    facts[1] = columns
    return facts


def fill(lengths: Sequence[int]) -> list[list[int]]:
    """Put blocks of these lengths into rows no longer than the longest block, few of them."""
    rows: list[tuple[int, list[int]]] = []
    for number in sorted(range(len(lengths)), key=lambda n: -lengths[n]):
        for i, (used, row) in enumerate(rows):
            if used + lengths[number] <= max(lengths):
                rows[i] = (used + lengths[number], [*row, number])
                break
        else:
            rows.append((lengths[number], [number]))
    return [row for _, row in rows]
