"""Describe files that are mistaken for images, by their first bytes."""

OTHER_FILES = (  # first bytes of files that are mistaken for images, and their description
    (b"version https://git-lfs", "a pointer of Git LFS: fetch the file itself with `git lfs pull`"),
    (b"<svg", "an SVG drawing: export it as PNG"),
    (b"<?xml", "an XML file, such as an SVG drawing: export it as PNG"),
    (b"<!doctype html", "a web page, so its download failed"),
    (b"<html", "a web page, so its download failed"),
    (b"%pdf", "a PDF: export its page as PNG"),
    (b"pk\x03\x04", "a ZIP archive: unpack it"),
    (b"data:", "a data URI: write the bytes that it encodes into the file"),
)
PHOTOS = (b"heic", b"heix", b"mif1", b"msf1", b"hevc")  # brands of HEIC files, at byte 8


def what_else(data: bytes) -> str:
    """A description of a file that is not an image."""
    head = data[:64].lstrip().lower()
    found = [what for start, what in OTHER_FILES if head.startswith(start)]
    if data[4:8] == b"ftyp" and data[8:12] in PHOTOS:
        found.append("a HEIC photo: convert it to JPEG or PNG")
    if not data:
        found.append("the file is empty")
    return "not an image in any format that Pillow reads" + "".join(f"; {it}" for it in found[:1])
