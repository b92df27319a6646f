"""Draw samples as one image: a person should be able to answer the questions from it."""

import math
from collections.abc import Callable, Sequence

from PIL import Image, ImageDraw, ImageFont

from rftcore.datasets.overlays import Overlay
from rftcore.types import Sample

WIDTH, MARGIN, COLUMNS = 460, 18, 3  # of a cell, in pixels
TALLEST, MOST = 900, 6  # of an image, in pixels; images of a sample that are drawn
INK, FAINT, RIGHT = "#1b1b1f", "#5c5f66", "#0b6e4f"
PAPER, LINE = "#ffffff", "#d8d9de"
GOLD, DECLARED = "#00a36c", "#e8590c"  # boxes
TITLE, QUESTION, SMALL = 22, 19, 15  # font sizes, in pixels
Text = tuple[str, int, str]  # a line, its size and its color


def grid(
    samples: Sequence[Sample],
    *,
    title: str = "",
    boxes: Callable[[Sample], Sequence[Overlay]] = lambda sample: (),
) -> Image.Image:
    """Draw samples side by side: images with their boxes, question, answer, reasoning."""
    columns = max(1, min(COLUMNS, math.ceil(math.sqrt(len(samples)))))
    cells = [_cell(sample, boxes(sample)) for sample in samples]
    rows = [cells[start : start + columns] for start in range(0, len(cells), columns)]
    heights = [max(cell.height for cell in row) for row in rows]
    top = 2 * MARGIN + TITLE
    page = Image.new("RGB", (columns * WIDTH, top + sum(heights)), PAPER)
    draw = ImageDraw.Draw(page)
    draw.text((MARGIN, MARGIN), title, fill=INK, font=_font(TITLE))
    for row, height in zip(rows, heights, strict=True):
        for column, cell in enumerate(row):
            left = column * WIDTH
            page.paste(cell, (left, top))
            draw.rectangle(_frame(left, top, height), outline=LINE)
        top += height
    return page


def _frame(left: int, top: int, height: int) -> tuple[int, int, int, int]:
    gap = MARGIN // 2
    return left + gap, top, left + WIDTH - gap, top + height - gap


def _cell(sample: Sample, boxes: Sequence[Overlay]) -> Image.Image:
    images = _images(sample)
    for overlay in boxes:
        if overlay.image < len(images):
            _outline(images[overlay.image], overlay)
    lines = _lines(sample)
    tallest = max((image.height for image in images), default=0)
    height = tallest + sum(_height(size) for _, size, _ in lines) + 3 * MARGIN
    cell = Image.new("RGB", (WIDTH, height), PAPER)
    draw, left = ImageDraw.Draw(cell), MARGIN
    for image in images:
        cell.paste(image, (left, MARGIN))
        edge = (left - 1, MARGIN - 1, left + image.width, MARGIN + image.height)
        draw.rectangle(edge, outline=LINE)  # separates two white images side by side
        left += image.width + MARGIN // 2
    _write(draw, lines, top=tallest + 2 * MARGIN)
    return cell


def _outline(image: Image.Image, overlay: Overlay) -> None:
    """Draw a box and its label in an image."""
    draw, color = ImageDraw.Draw(image), GOLD if overlay.gold else DECLARED
    left, right = (round(share * (image.width - 1)) for share in overlay.box[::2])
    top, bottom = (round(share * (image.height - 1)) for share in overlay.box[1::2])
    if left <= right and top <= bottom:
        draw.rectangle((left, top, right, bottom), outline=color, width=3 if overlay.gold else 2)
        at, font = (left + 4, top + 2), _font(SMALL)
        if overlay.label:
            draw.rectangle(draw.textbbox(at, overlay.label, font=font), fill=PAPER)
        draw.text(at, overlay.label, fill=color, font=font)


def _write(draw: ImageDraw.ImageDraw, lines: Sequence[Text], top: int) -> None:
    for text, size, color in lines:
        draw.text((MARGIN, top), text, fill=color, font=_font(size))
        top += _height(size)


def _images(sample: Sample) -> list[Image.Image]:
    """The first images at one width, side by side; small ones enlarged, tall ones reduced."""
    opened = [image.open() for image in sample.images[:MOST]]
    count = len(opened)
    if not count:
        return []
    width = (WIDTH - 2 * MARGIN - (count - 1) * MARGIN // 2) // count
    return [i.resize(_fitted(i, width), _filter(i, width)) for i in opened]


def _fitted(image: Image.Image, width: int) -> tuple[int, int]:
    scale = min(width / image.width, TALLEST / image.height)
    return max(1, round(image.width * scale)), max(1, round(image.height * scale))


def _filter(image: Image.Image, width: int) -> Image.Resampling:
    return Image.Resampling.BICUBIC if image.width < width else Image.Resampling.LANCZOS


def _lines(sample: Sample) -> list[Text]:
    parts = [(sample.question, QUESTION, INK), (f"answer: {sample.gold}", QUESTION, RIGHT)]
    if sample.cot:
        parts.append((sample.cot, SMALL, FAINT))
    more = len(sample.images) - MOST
    name = f"{sample.id}, and {more} more images" if more > 0 else sample.id
    parts.append((name, SMALL, FAINT))
    return [(line, size, ink) for text, size, ink in parts for line in _wrap(text, size)]


def _wrap(text: str, size: int) -> list[str]:
    """Break at spaces so that a line fits the cell; line breaks of the text are kept."""
    font, lines = _font(size), []
    for paragraph in text.splitlines():
        line = ""
        for word in paragraph.split():
            longer = f"{line} {word}".strip()
            if line and font.getlength(longer) > WIDTH - 2 * MARGIN:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    return lines


def _height(size: int) -> int:
    return round(size * 1.4)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)
