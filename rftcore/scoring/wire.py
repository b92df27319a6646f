"""The input of a reward, packed for another process.

Values are pickled. An image in a file is sent as the file's path; any other image is
read here and sent as its encoded bytes, because the function that makes it may be a
closure. So a reward that runs in a worker should declare `sample` only if it needs it.
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
    """The input as bytes. Raises whatever pickle raises for a value that cannot be pickled."""
    packed = io.BytesIO()
    _Packer(packed).dump(x)
    return packed.getvalue()


def unpack(packed: bytes) -> RewardInput:
    """The input that was packed; its images can be opened."""
    x: RewardInput = pickle.loads(packed)
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
    """Its bytes, or a fault, which is raised only if the reward opens the image."""
    try:
        return image.read(), ""
    except Exception as error:
        return b"", describe(error)


def _frozen(mapping: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(mapping)  # pickle cannot find the type by its name


def _image(key: str, data: bytes, fault: str) -> Image:
    return Image(key, partial(_give, key, data, fault))


def _give(key: str, data: bytes, fault: str) -> bytes:
    if fault:
        raise SampleError(f"image {key}: {fault}")
    return data
