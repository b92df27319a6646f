"""Pictures that a plugin draws, kept on disk and found by what they show.

A picture's name is the hash of everything that decides its pixels, so a second
run draws nothing and a stale picture is never served. Importing this package
loads nothing that draws.
"""

from rftcore.pictures.cache import PictureCache

__all__ = ["PictureCache"]
