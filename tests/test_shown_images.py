"""What files of answers keep of images: a file that can be read, and the size the policy saw."""

import io

import pytest
from PIL import Image as Pil
from transformers import AutoProcessor

from rftcore.completions import ShownImage
from rftcore.images import Image, ImageCache
from rftcore.images.shown import shown
from rftcore.models.encoding import apply_processor
from rftcore.models.seen import SeenSize
from rftcore.testing.families import FAMILIES


def png(size):
    file = io.BytesIO()
    Pil.new("RGB", size).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def drawing():
    return Image.from_bytes(png((30, 20)))


def test_an_image_of_a_file_has_its_absolute_path_and_size(tmp_path, monkeypatch):
    (tmp_path / "image.png").write_bytes(png((30, 20)))
    monkeypatch.chdir(tmp_path)
    image = Image.from_path("image.png")

    assert shown([image], lambda size: (size[0] * 2, 7)) == (
        ShownImage(key="image.png", path=str(tmp_path / "image.png"), size=(30, 20), seen=(60, 7)),
    )


def test_an_image_in_memory_has_a_key_and_no_path(drawing):
    assert shown([drawing]) == (ShownImage(key=drawing.key),)


def test_an_image_of_a_cache_has_the_path_of_its_file(tmp_path, drawing):
    cache = ImageCache("x", str, lambda _: drawing.read(), directory=tmp_path / "cache")
    (found,) = shown([cache.image("a")], lambda size: size)

    assert found.path == str(cache.path("a"))
    assert found.seen == Image.from_path(found.path).size() == (30, 20)


def test_without_a_size_to_see_no_image_is_read():
    def read():
        raise AssertionError("it was read")

    assert shown([Image("a", read)]) == (ShownImage(key="a"),)


@pytest.mark.parametrize("size", [(90, 20), (112, 56), (300, 40)])
def test_the_seen_size_of_qwen2_vl_has_the_patches_of_its_tokens(tmp_path, size):
    processor = AutoProcessor.from_pretrained(FAMILIES["qwen2_vl"](tmp_path / "model"))
    wide, high = SeenSize(processor)(size)
    token = processor.image_token
    image = Pil.new("RGB", size)
    ids = apply_processor(processor, [token], [[image]])["input_ids"][0].tolist()

    side = processor.image_processor.patch_size * processor.image_processor.merge_size
    assert (wide > high) == (size[0] > size[1])
    assert ids.count(processor.tokenizer.convert_tokens_to_ids(token)) == (wide * high) // side**2


def test_a_processor_that_fails_or_splits_images_has_no_seen_size():
    class Broken:
        image_processor = None

    assert SeenSize(Broken())((3, 4)) is None
