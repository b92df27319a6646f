"""A decoded image is upright, on white, and scaled from black to white."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pil
from PIL.PngImagePlugin import PngInfo

from rftcore import Image
from rftcore.cli import logs
from rftcore.errors import SampleError
from rftcore.images import decoding

HALF = 128  # alpha of a half-transparent pixel


def encoded(picture, kind="PNG", **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def seen(data):
    return np.asarray(Image.from_bytes(data).open()).tolist()


def png(depth, color_type, samples, *, transparent=(), palette=b""):
    """A PNG of one row, written by hand: Pillow writes few of the forms that PNG has."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    width = len(samples)
    flat = [part for sample in samples for part in np.atleast_1d(sample).tolist()]
    bits = "".join(f"{part:0{depth}b}" for part in flat)
    row = int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8))
    head = struct.pack(">IIBBBBB", width, 1, depth, color_type, 0, 0, 0)
    extra = chunk(b"PLTE", palette) if palette else b""
    if isinstance(transparent, bytes):
        extra += chunk(b"tRNS", transparent)
    elif transparent:
        extra += chunk(b"tRNS", struct.pack(f">{len(transparent)}H", *transparent))
    body = chunk(b"IHDR", head) + extra + chunk(b"IDAT", zlib.compress(b"\0" + row))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def tiff(samples, form, *, bits=None, photometric=1, extra=None):
    """A TIFF of one row; form: "u2", "i4", "f4"; photometric 0: 0 is white; extra: alpha."""
    values = np.asarray(samples, dtype=f"<{form}")
    per_pixel = 1 if values.ndim == 1 else values.shape[1]
    data = values.tobytes()
    kind = {"u": 1, "i": 2, "f": 3}[form[0]]
    fields = [(256, [len(values)]), (257, [1]), (258, [bits or 8 * values.itemsize] * per_pixel)]
    fields += [(259, [1]), (262, [photometric]), (273, [0]), (277, [per_pixel]), (279, [len(data)])]
    fields += [(338, [extra])] if extra is not None else []
    fields += [(339, [kind] * per_pixel)]
    start = 8 + 2 + 12 * len(fields) + 4
    for _ in range(2):  # the second time the offset of the data is known
        heap, entries = b"", b""
        for tag, numbers in fields:
            packed = struct.pack(f"<{len(numbers)}H", *numbers)
            if len(packed) > 4:
                place, heap = struct.pack("<I", start + len(heap)), heap + packed
            else:
                place = packed.ljust(4, b"\0")
            entries += struct.pack("<HHI", tag, 3, len(numbers)) + place
        fields[5] = (273, [start + len(heap)])
    head = b"II*\0" + struct.pack("<IH", 8, len(fields))
    return head + entries + b"\0\0\0\0" + heap + data


def named(value):
    """The words of a parameter; its bytes have none that a person reads."""
    return value if isinstance(value, str) else ""


def gray(*values):
    return [[[v] * 3 for v in values]]


WHITE, BLACK, RED = [255] * 3, [0] * 3, [255, 0, 0]
PINK = [255, 127, 127]  # half red on white
RGBA = Pil.new("RGBA", (3, 1))
RGBA.putdata([(0, 0, 0, 255), (0, 0, 0, 0), (255, 0, 0, HALF)])
ON_WHITE = [[BLACK, WHITE, PINK]]
LA = Pil.new("LA", (3, 1))
LA.putdata([(0, 255), (0, 0), (0, HALF)])
PA = Pil.new("PA", (2, 1))
PA.putpalette([0, 0, 0, 255, 0, 0])
PA.putdata([(0, 255), (0, 0)])
FLAT = Pil.new("RGB", (8, 8))
INDEXED = Pil.new("P", (3, 1))
INDEXED.putpalette([0, 0, 0, 255, 0, 0, 0, 0, 255])
INDEXED.putdata([0, 1, 2])


TABLE = {
    "RGBA": (encoded(RGBA), ON_WHITE),
    "RGBA in TIFF": (encoded(RGBA, "TIFF"), ON_WHITE),
    "RGBA in lossless WebP": (encoded(RGBA, "WEBP", lossless=True, exact=True), ON_WHITE),
    "LA": (encoded(LA), gray(0, 255, 127)),
    "LA in TIFF": (encoded(LA, "TIFF"), gray(0, 255, 127)),
    "PA in TIFF": (encoded(PA, "TIFF"), [[BLACK, WHITE]]),
    "premultiplied gray": (tiff([[10, HALF], [0, 0]], "u1", extra=1), gray(147 - 10, 255)),
    "premultiplied color": (
        tiff([[HALF, 0, 0, HALF], [0, 0, 0, 0]], "u1", photometric=2, extra=1),
        [[PINK, WHITE]],
    ),
    "palette, one color transparent": (
        encoded(INDEXED, transparency=0),
        [[WHITE, RED, [0, 0, 255]]],
    ),
    "palette, an alpha for each color": (
        encoded(INDEXED, transparency=bytes([0, HALF, 255])),
        [[WHITE, PINK, [0, 0, 255]]],
    ),
    "palette of a GIF": (encoded(INDEXED, "GIF", transparency=0), [[WHITE, RED, [0, 0, 255]]]),
    "palette, opaque": (encoded(INDEXED), [[BLACK, RED, [0, 0, 255]]]),
    "gray, one shade transparent": (
        png(8, 0, [0, 9, 255], transparent=(0,)),
        gray(255, 9, 255),
    ),
    "1 bit, black transparent": (png(1, 0, [0, 1], transparent=(0,)), gray(255, 255)),
    "1 bit, white transparent": (png(1, 0, [0, 1], transparent=(1,)), gray(0, 255)),
    "2 bit, a shade transparent": (png(2, 0, [0, 1, 3], transparent=(1,)), gray(0, 255, 255)),
    "4 bit, a shade transparent": (png(4, 0, [0, 4, 15], transparent=(4,)), gray(0, 255, 255)),
    "16 bit, a shade transparent": (
        png(16, 0, [0, 4660, 4661], transparent=(4660,)),
        gray(0, 255, 18),
    ),
    "color, one transparent": (
        png(8, 2, [(0, 0, 0), (0, 0, 9)], transparent=(0, 0, 0)),
        [[WHITE, [0, 0, 9]]],
    ),
    "16 bit color, one transparent": (
        png(16, 2, [(4660,) * 3, (65535, 0, 0)], transparent=(4660,) * 3),
        [[WHITE, RED]],
    ),
    "16 bit color": (png(16, 2, [(65535, 4660, 0)]), [[[255, 18, 0]]]),
    "16 bit color with alpha": (png(16, 6, [(0, 0, 0, 0), (0, 0, 0, 65535)]), [[WHITE, BLACK]]),
    "16 bit gray with alpha": (png(16, 4, [(0, 0), (0, 65535)]), [[WHITE, BLACK]]),
    "16 bit gray": (png(16, 0, [0, 255, 256, 4660, 65535]), gray(0, 0, 1, 18, 255)),
    "16 bit gray in TIFF": (tiff([0, 256, 65535], "u2"), gray(0, 1, 255)),
    "16 bit gray, big-endian": (
        encoded(Pil.frombytes("I;16B", (2, 1), b"\x01\x00\xff\xff"), "TIFF"),
        gray(1, 255),
    ),
    "16 bit gray whose 0 is white": (tiff([0, 65535], "u2", photometric=0), gray(255, 0)),
    "8 bit gray whose 0 is white": (tiff([0, 255], "u1", photometric=0), gray(255, 0)),
    "16 bit PGM": (b"P5 2 1 65535\n\x01\x00\xff\xff", gray(1, 255)),
    "10 bit PGM": (b"P5 2 1 1023\n\x00\x00\x03\xff", gray(0, 255)),
    "32 bit with 16-bit values": (tiff([0, 257, 65535], "i4"), gray(0, 1, 255)),
    "signed": (tiff([-100, 0, 100], "i2"), gray(0, 127, 255)),
    "float up to 1": (tiff([0, 0.5, 1], "f4"), gray(0, 127, 255)),
    "float up to 255": (tiff([0, 100, 255], "f4"), gray(0, 100, 255)),
    "float, any": (tiff([-1, 0, 1e9], "f4"), gray(0, 0, 255)),
    "float with holes": (tiff([0, np.nan, 2, np.inf], "f4"), gray(0, 0, 255, 255)),
    "CMYK": (encoded(Pil.new("CMYK", (1, 1), (0, 255, 255, 0)), "TIFF"), [[RED]]),
    "1 bit": (encoded(Pil.new("1", (1, 1), 1)), [[WHITE]]),
}


@pytest.mark.parametrize(("data", "truth"), TABLE.values(), ids=TABLE)
def test_what_is_shown_equals_the_truth_computed_by_hand(data, truth):
    assert np.abs(np.subtract(seen(data), truth)).max() <= 1  # rounding of half-transparent pixels


@pytest.mark.parametrize("kind", ["CMYK", "YCbCr"])
def test_a_jpeg_of_any_color_space_keeps_its_colors(kind):
    red = Pil.new("RGB", (8, 8), "red").convert(kind)

    assert np.abs(np.subtract(seen(encoded(red, "JPEG", quality=100)), RED)).max() <= 3


def test_lab_keeps_its_lightness():
    white, black = (Pil.new("LAB", (1, 1), color) for color in ((255, 128, 128), (0, 128, 128)))

    assert np.min(seen(encoded(white, "TIFF"))) > 250
    assert np.max(seen(encoded(black, "TIFF"))) < 5


PIXELS = st.lists(st.lists(st.integers(0, 255), min_size=3, max_size=3), min_size=1, max_size=9)


@given(PIXELS, st.sampled_from(["PNG", "TIFF", "BMP", "PPM"]))
def test_an_opaque_image_is_shown_as_it_is(pixels, kind):
    picture = Pil.fromarray(np.array([pixels], dtype=np.uint8))

    assert seen(encoded(picture, kind)) == [pixels]
    assert seen(encoded(picture.convert("RGBA"), "PNG")) == [pixels]


@given(st.lists(st.integers(0, 255), min_size=1, max_size=9))
def test_gray_of_8_and_of_16_bits_look_alike(values):
    assert seen(png(8, 0, values)) == seen(png(16, 0, [v * 257 for v in values])) == gray(*values)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "I;16"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_of_a_camera_is_turned_upright(kind, mode, orientation):
    if mode in {"JPEG": ("P", "RGBA", "I;16"), "WEBP": ("I;16",)}.get(kind, ()):
        return  # the format has no such pixels
    back = {6: Pil.Transpose.ROTATE_90, 8: Pil.Transpose.ROTATE_270, 3: Pil.Transpose.ROTATE_180}
    back |= {2: Pil.Transpose.FLIP_LEFT_RIGHT, 4: Pil.Transpose.FLIP_TOP_BOTTOM}
    back |= {5: Pil.Transpose.TRANSPOSE, 7: Pil.Transpose.TRANSVERSE}
    upright = Pil.fromarray(np.zeros((24, 48), np.uint8))
    upright.paste(255, (0, 0, 24, 12))  # white in one corner alone
    stored = upright.transpose(back[orientation]) if orientation > 1 else upright
    exif = Pil.Exif()
    exif[0x0112] = orientation
    wide = Pil.fromarray(np.asarray(stored).astype(np.uint16) * 257)
    data = encoded(wide if mode == "I;16" else stored.convert(mode), kind, exif=exif)

    image = Image.from_bytes(data)
    shown = np.asarray(image.open().convert("L"), dtype=int)
    assert image.size() == (48, 24)
    assert shown.shape == (24, 48)
    assert np.abs(shown - np.asarray(upright, dtype=int)).mean() < 8


def exif_as_text() -> str:
    exif = Pil.Exif()
    exif[0x0112] = 6
    data = exif.tobytes()
    return f"\nexif\n{len(data):8d}\n{data.hex()}\n"


@pytest.mark.parametrize(
    ("name", "text", "size"),
    [
        ("XML:com.adobe.xmp", '<x tiff:Orientation="6"/>', (4, 8)),
        ("Raw profile type exif", exif_as_text(), (4, 8)),
        ("Comment", "Raw profile type exif and eXIf", (8, 4)),
    ],
)
def test_an_orientation_in_the_texts_of_a_png_is_found(name, text, size):
    texts = PngInfo()
    texts.add_itxt(name, text) if "XML" in name else texts.add_text(name, text)
    image = Image.from_bytes(encoded(Pil.new("RGB", (8, 4), "red"), "PNG", pnginfo=texts))

    assert image.size() == image.open().size == size


def test_damaged_exif_data_does_not_cost_the_image():
    data = encoded(Pil.new("RGB", (8, 4), "red"), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")

    assert Image.from_bytes(data).open().size == (8, 4)


def animation(kind):
    frames = [Pil.new("RGB", (4, 4), color) for color in ("red", "blue")]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:])


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        (animation("GIF"), "several frames", "2 frames"),
        (animation("PNG"), "several frames", "2 frames"),
        (animation("WEBP"), "several frames", "2 frames"),
        (animation("TIFF"), "several frames", "2 frames or pages"),
        (tiff([0, 1], "f4"), "undefined scale", "0 to 1, shown with 1 as white"),
        (tiff([0, 70000], "i4"), "undefined scale", "stretched so that 0 is black and 70000"),
        (tiff([-1, 1], "i2"), "undefined scale", "stretched so that -1 is black"),
        (png(16, 0, [0, 900]), "dark image", "brightest pixel is 900"),
        (encoded(Pil.new("RGBA", (2, 2), (9, 9, 9, 0))), "nothing visible", "alpha is 0"),
    ],
    ids=named,
)
def test_what_a_file_leaves_open_is_a_finding(data, kind, message):
    (found,) = decoding.decode(data).remarks

    assert (found[0], message in found[1]) == (kind, True)


@pytest.mark.parametrize(
    "data",
    [
        encoded(RGBA),
        encoded(INDEXED, transparency=0),
        png(16, 0, [0, 65535]),
        encoded(Pil.new("L", (2, 2))),
        encoded(FLAT, "JPEG"),
        encoded(
            Pil.new("RGB", (8, 8)), "MPO", save_all=True, append_images=[Pil.new("RGB", (8, 8))]
        ),
    ],
    ids=named,
)
def test_an_ordinary_image_has_no_findings(data):
    assert list(decoding.decode(data).remarks) == []


@pytest.mark.parametrize("side", [11_000, 20_000])
def test_an_image_too_large_to_decode_is_one_error(side, recwarn):
    image = Image.from_bytes(encoded(Pil.new("1", (side, side))))
    with logs.shown(), pytest.raises(SampleError, match="more than 89478485 pixels; make it sm"):
        image.open()
    assert not recwarn.list

    with pytest.raises(SampleError, match="more than 89478485 pixels"):
        image.open()
    assert {each.category for each in recwarn.list} <= {Pil.DecompressionBombWarning}


@pytest.mark.parametrize("data", [None, "a.png", 3])
def test_anything_but_bytes_is_an_error_when_the_image_is_made(data):
    with pytest.raises(SampleError, match="expected the bytes of an image file, got"):
        Image.from_bytes(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n", "`git lfs pull`"),
        (b"\n<!DOCTYPE html><html>404</html>", "a web page, so its download failed"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "export it as PNG"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a HEIC photo: convert it"),
        (b"%PDF-1.7 ", "a PDF"),
        (b"data:image/png;base64,iVBO", "a data URI"),
        (b"", "the file is empty"),
        (b"words", "not an image in any format that Pillow reads"),
    ],
    ids=named,
)
def test_a_file_that_is_no_image_is_named_for_what_it_seems_to_be(data, message):
    with pytest.raises(SampleError, match="not an image in any format that Pillow reads") as caught:
        Image.from_bytes(data).open()
    assert message in str(caught.value)
    with pytest.raises(SampleError, match="not an image"):
        Image.from_bytes(data).size()


@pytest.mark.parametrize(
    "value", [None, "a.png", 3, Pil.new("RGB", (2, 2))], ids=["None", "str", "int", "PIL"]
)
def test_what_is_no_path_and_no_bytes_is_named(value):
    with pytest.raises(SampleError, match="its `read` returned"):
        Image(key="a", read=lambda: value).open()
    if not isinstance(value, str):
        with pytest.raises(SampleError, match="expected the path of an image file"):
            Image.from_path(value)
