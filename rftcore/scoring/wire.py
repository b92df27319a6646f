"""What a reward may look at, as bytes that another process can open.

Values travel as pickles. A picture in a file travels as the file's path; any
other is read here and travels as its encoded bytes, because the function that
makes it may be a closure. So a reward that runs in a worker should declare
`sample` only if it needs it.
"""

import io
import pickle
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rftcore.errors import SampleError, describe
from rftcore.images import Image
from rftcore.types import RewardInput


def pack(x: RewardInput) -> bytes:
    """Raises whatever pickle raises for a value that cannot travel."""
    parcel = io.BytesIO()
    _Packer(parcel).dump(x)
    return parcel.getvalue()


def unpack(parcel: bytes) -> RewardInput:
    """What `pack` was given; its pictures can be opened."""
    x: RewardInput = pickle.loads(parcel)
    return x


class _Packer(pickle.Pickler):
    def reducer_override(self, thing: object) -> Any:
        if isinstance(thing, MappingProxyType):
            return _frozen, (dict(thing),)
        if isinstance(thing, Image) and not isinstance(_owner(thing), Path):
            return _image, (thing.key, *_read(thing))
        return NotImplemented


def _owner(image: Image) -> object:
    return getattr(image.read, "__self__", None)


def _read(image: Image) -> tuple[bytes, str]:
    """Its bytes, or why it has none: that is told only if the reward looks at it."""
    try:
        return image.read(), ""
    except Exception as error:
        return b"", describe(error)


def _frozen(mapping: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(mapping)  # whose type pickle cannot find by its name


def _image(key: str, data: bytes, fault: str) -> Image:
    return Image(key, partial(_give, key, data, fault))


def _give(key: str, data: bytes, fault: str) -> bytes:
    if fault:
        raise SampleError(f"image {key}: {fault}")
    return data
