"""Images: read lazily, decoded in one place, and cached on disk if a plugin draws them.

The file name of a drawn image is the hash of everything that determines its pixels, so a second
run draws nothing and never reads a stale image. Importing this package imports no library that
decodes or draws.
"""

from rftcore.images.cache import ImageCache
from rftcore.images.image import Image

__all__ = ["Image", "ImageCache"]
