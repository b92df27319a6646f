"""Images: lazy, decoded in one way, and kept on disk where a plugin draws them.

The name of a kept image is the hash of everything that decides its pixels, so a second
run draws nothing and a stale image is never served. Importing this package loads nothing
that decodes or draws.
"""

from rftcore.images.cache import ImageCache
from rftcore.images.image import Image

__all__ = ["Image", "ImageCache"]
