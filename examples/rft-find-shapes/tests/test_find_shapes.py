"""The gold box is where the shape is, in the file and in what a processor makes of it."""

import numpy
from PIL import Image, ImageColor
from rft_find_shapes import COLORS, PARSER, SIZES, Shapes

from rftcore.boxes import Box, iou, resized

DATA = Shapes()
SOME = [DATA.sample(split, at) for split in SIZES for at in range(40)]


def box_of_the_color(sample, image: Image.Image) -> Box:
    """Where the pixels have the color in the question, in thousandths."""
    color = next(color for color in COLORS if f" {color} " in sample.question)
    ink = numpy.array(ImageColor.getrgb(COLORS[color]))
    y, x = numpy.nonzero(numpy.abs(numpy.asarray(image).astype(int) - ink).max(-1) < 50)
    box = Box(int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1)
    return box.scaled(image.size, (1000, 1000))


def test_the_gold_box_is_where_the_color_is():
    for sample in SOME:
        (gold,) = PARSER.gold(sample.gold).value
        assert iou(box_of_the_color(sample, sample.images[0].open()), gold) > 0.93


def test_the_gold_box_is_right_in_the_image_that_qwens_processor_makes():
    for sample in SOME[:40]:
        (gold,) = PARSER.gold(sample.gold).value
        image = sample.images[0].open()
        small = resized(image.size, factor=28, min_pixels=300 * 300, max_pixels=600 * 600)
        assert iou(box_of_the_color(sample, image.resize(small)), gold) > 0.9


def test_the_other_shapes_are_declared_for_the_preview():
    for sample in SOME:
        assert len(sample.meta["boxes"]) == 3
