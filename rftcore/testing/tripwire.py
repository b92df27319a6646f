"""A value that raises on any use, and records it."""

from __future__ import annotations

from typing import Any

from rftcore.types import Sample


class TrippedError(Exception):
    """A value was used that must not be used."""


class Tripwire:
    """Raises `TrippedError` when compared, counted, converted, called or accessed."""

    tripped: bool

    def __init__(self) -> None:
        self.tripped = False

    def trip(self, *_: Any, **__: Any) -> Any:
        """Record the use, and raise."""
        self.tripped = True
        raise TrippedError("this sample is broken on purpose")

    __hash__ = None  # type: ignore[assignment]
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = trip
    __bool__ = __len__ = __iter__ = __contains__ = __getitem__ = __call__ = trip
    __str__ = __repr__ = __format__ = __int__ = __float__ = __index__ = __abs__ = trip
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __neg__ = trip
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = trip
    __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = __pow__ = __rpow__ = trip
    __round__ = __reversed__ = __getattr__ = trip


class BareSample(Sample):
    """A sample whose fields all trip a wire."""

    def __init__(self, wire: Tripwire) -> None:
        object.__setattr__(self, "_wire", wire)

    def __getattribute__(self, name: str) -> Any:
        if name in Sample.__dataclass_fields__:
            object.__getattribute__(self, "_wire").trip()
        return super().__getattribute__(name)
