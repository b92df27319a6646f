"""Start a plugin: check its name and write a package from templates.

`names` checks the name, `project` writes. The templates under `templates/` are packages of a
task named my-task, in layers: files that several templates share are in a layer of their own.
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
