"""What is written over a film's frames: the step, the fitness so far, and what each term pays, as figure and bar."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from rewardsmith.worker.video.camera import Frame
from rewardsmith.worker.video.frame_annotations import Story

MOST_TERMS = 8
"""More terms hide the scene: the largest are shown."""
PIXELATED = 200
"""Pictures narrower than this are grids of pixels, and are enlarged as such."""
INK, FAINT, BACKDROP = (255, 255, 255), (190, 196, 204), (18, 20, 24)
GAIN, LOSS = (94, 201, 138), (240, 140, 94)
"""Bars to the right and to the left; told apart by their side, not by their colour alone."""
VEIL = 150
"""How much of the scene the panel covers, of 255."""
LINES = 27
"""Lines of text that a frame is high."""


class Sheet:
    """The overlay of one film."""

    def __init__(self, story: Story, title: str, width: int, height: int) -> None:
        self._story, self._title = story, title
        self._width, self._line = width, max(11, height // LINES)
        self._font = ImageFont.load_default(self._line * 0.82)
        paid = {name: np.array(values) * story.weights[name] for name, values in story.terms.items()}
        size = {name: float(np.abs(values).max()) for name, values in paid.items()}
        self._shown = sorted(size, key=lambda name: -size[name])[:MOST_TERMS]
        self._paid = {name: paid[name] for name in paid if name in self._shown}
        self._left_out = len(paid) - len(self._paid)
        self._largest = max(size.values(), default=0.0) or 1.0
        figures = {_figure(value) for values in self._paid.values() for value in values.tolist()}
        self._figures = 10 + int(max(map(self._font.getlength, figures), default=0))
        self._label = 8 + int(max((self._font.getlength(name) for name in self._paid), default=0))

    def write(self, image: Image.Image, frame: int) -> None:
        """Write over the picture of a frame, given by its number."""
        draw, line = ImageDraw.Draw(image), self._line
        self._veil(image, (0, 0, self._width, line + 6))
        self._head(draw, frame)
        rows = len(self._paid) + bool(self._left_out)
        if not rows:
            return
        bar = max(24, self._width // 8)
        self._veil(image, (0, line + 6, self._label + self._figures + bar + 14, line + 12 + rows * line))
        for row, (name, values) in enumerate(self._paid.items()):
            y, value = line + 8 + row * line, float(values[frame])
            draw.text((6, y), name, FAINT, self._font)
            draw.text((self._label + self._figures, y), _figure(value), INK, self._font, anchor="ra")
            self._bar(draw, self._label + self._figures + 6 + bar // 2, y, value / self._largest * bar / 2)
        if self._left_out:
            draw.text((6, line + 8 + len(self._paid) * line), f"and {self._left_out} smaller", FAINT, self._font)

    def _head(self, draw: ImageDraw.ImageDraw, frame: int) -> None:
        story, font = self._story, self._font
        known = story.fitness[frame]
        fitness = "" if known is None else f"fitness  {_figure(known)}   "
        right = f"{fitness}step {story.steps[frame]} / {story.length}"
        draw.text((self._width - 6, 3), right, INK, font, anchor="ra")
        room = self._width - 18 - font.getlength(f"fitness  -0.00e+00   step {story.length} / {story.length}")
        draw.text((6, 3), _fitting(self._title, font, room), FAINT, font)

    def _bar(self, draw: ImageDraw.ImageDraw, middle: float, y: int, length: float) -> None:
        top, bottom = y + self._line * 0.25, y + self._line * 0.8
        draw.line((middle, y + 2, middle, y + self._line - 2), FAINT)
        draw.rectangle((min(middle, middle + length), top, max(middle, middle + length), bottom), _colour(length))

    @staticmethod
    def _veil(image: Image.Image, box: tuple[int, int, int, int]) -> None:
        mask = Image.new("L", (box[2] - box[0], box[3] - box[1]), VEIL)
        image.paste(BACKDROP, box, mask)


def _colour(length: float) -> tuple[int, int, int]:
    return GAIN if length >= 0 else LOSS


def _figure(value: float) -> str:
    return f"{value:.3g}"


def _fitting(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, room: float) -> str:
    """Return as much of a line as fits."""
    line = "".join(letter if letter.isprintable() else "?" for letter in text)
    if font.getlength(line) <= room:
        return line
    while line and font.getlength(f"{line}…") > room:
        line = line[:-1]
    return f"{line.rstrip()}…" if line else ""


def drawn(frames: Iterable[Frame], story: Story, title: str, size: tuple[int, int], overlay: bool) -> Iterator[Frame]:
    """Yield the frames of a film as they are seen.

    Args:
        frames: as the environment drew them, of any size.
        story: what there is to tell of each.
        title: the first line.
        size: width and height in pixels; what has other proportions gets margins.
        overlay: whether anything is written.
    """
    sheet = Sheet(story, title, *size) if overlay else None
    for number, frame in enumerate(frames):
        image = fitted(Image.fromarray(frame), size)
        if sheet:
            sheet.write(image, number)
        yield np.asarray(image)


def fitted(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return a picture scaled into a size, with margins where its proportions are others."""
    if image.size == size:
        return image
    scale = min(size[0] / image.width, size[1] / image.height)
    way = Image.Resampling.NEAREST if image.width < PIXELATED else Image.Resampling.LANCZOS
    inner = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))), way)
    canvas = Image.new("RGB", size, BACKDROP)
    canvas.paste(inner, ((size[0] - inner.width) // 2, (size[1] - inner.height) // 2))
    return canvas
