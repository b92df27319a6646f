"""Plugins: discovery, isolation of broken ones, and components by name.

`offers` has the values, `loading` finds and calls plugins behind a `guard`, `lookup` finds what
they offer by name, `catalogue` makes components of it, whose arguments and results `components`
checks; `tasks` resolves the names in a task, `files` loads a task from a file.
"""

from rftcore.plugins.catalogue import Catalogue
from rftcore.plugins.offers import Failure, Offer, Plugin, Row

__all__ = ["Catalogue", "Failure", "Offer", "Plugin", "Row"]
