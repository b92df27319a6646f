"""Campaigns: many seeded attempts to break a promise of rft, with a table of what held.

    python -m tests.campaigns --seed 0 --minutes 60
    python -m tests.campaigns --seed 0 --only recipes --case 17

A part is a module with a class of attempts. Case N of a part depends on the seed and on N alone, so
a broken case is repeated by its number. docs/reliability.md has the promises and the last table.
"""
