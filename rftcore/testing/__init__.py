"""The laws for plugins, and their runner.

    from rftcore.testing import parametrize_laws

    @parametrize_laws("my-task")
    def test_law(law):
        law.check()

`rft plugins check NAME` runs the same laws. They need hypothesis:
`pip install 'rftcore[testing]'`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rftcore.testing.errors import BrokenError, NotApplicableError
    from rftcore.testing.law import Law
    from rftcore.testing.laws import LAWS
    from rftcore.testing.marks import parametrize_laws
    from rftcore.testing.subject import Subject
    from rftcore.testing.subject.samples import Settings
    from rftcore.testing.trial import Result, Trial

__all__ = [
    "LAWS",
    "BrokenError",
    "Law",
    "NotApplicableError",
    "Result",
    "Settings",
    "Subject",
    "Trial",
    "parametrize_laws",
]

_MODULES = {
    "LAWS": "laws",
    "BrokenError": "errors",
    "Law": "law",
    "NotApplicableError": "errors",
    "Result": "trial",
    "Settings": "subject.samples",
    "Subject": "subject",
    "Trial": "trial",
    "parametrize_laws": "marks",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'rftcore.testing' has no attribute {name!r}")
    return getattr(import_module(f"rftcore.testing.{_MODULES[name]}"), name)
