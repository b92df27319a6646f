"""Start a plugin: a checked name, and a package written from templates.

`names` says which names are free, `project` writes. The templates under
`templates/` are packages of a task named my-task, in layers: what two of them
share stands once.
"""

from rftcore.scaffold.names import check_free, check_name
from rftcore.scaffold.project import KINDS, TASKS, Project, write_file, write_package

__all__ = [
    "KINDS",
    "TASKS",
    "Project",
    "check_free",
    "check_name",
    "write_file",
    "write_package",
]
