"""Overlay of a video's frames: the step, the fitness so far, and each term's reward as a number and a bar."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from rewardsmith.worker.video.camera import Frame
from rewardsmith.worker.video.frame_annotations import FrameAnnotations

MOST_TERMS = 8
"""Largest number of terms shown: more would hide the scene."""
PIXELATED = 200
"""Frames narrower than this are pixel graphics, and are enlarged without smoothing."""
INK, FAINT, BACKDROP = (255, 255, 255), (190, 196, 204), (18, 20, 24)
GAIN, LOSS = (94, 201, 138), (240, 140, 94)
"""Colours of bars to the right and to the left; they differ by their side too, not by colour alone."""
VEIL = 150
"""Opacity of the panel behind the text, of 255."""
LINES = 27
"""Height of a frame in lines of text."""


class Overlay:
    """Overlay of one video."""

    def __init__(self, annotations: FrameAnnotations, title: str, width: int, height: int) -> None:
        self._annotations, self._title = annotations, title
        self._width, self._line = width, max(11, height // LINES)
        self._font = ImageFont.load_default(self._line * 0.82)

        # Reward of each term at each frame, weight included; the largest terms are shown, in the program's order
        rewards = {name: np.array(values) * annotations.weights[name] for name, values in annotations.terms.items()}
        peaks = {name: float(np.abs(values).max()) for name, values in rewards.items()}
        shown = sorted(peaks, key=lambda name: -peaks[name])[:MOST_TERMS]
        self._rewards = {name: values for name, values in rewards.items() if name in shown}
        self._left_out = len(rewards) - len(self._rewards)
        self._largest = max(peaks.values(), default=0.0) or 1.0

        # Widths of the columns, the same for all frames
        numbers = {_format_number(value) for values in self._rewards.values() for value in values.tolist()}
        self._number_width = 10 + int(max(map(self._font.getlength, numbers), default=0))
        self._label_width = 8 + int(max(map(self._font.getlength, self._rewards), default=0))

    def draw_on(self, image: Image.Image, frame: int) -> None:
        """Draw on the image of a frame, given by its number."""
        draw, line = ImageDraw.Draw(image), self._line
        self._darken(image, (0, 0, self._width, line + 6))
        self._draw_header(draw, frame)

        row_count = len(self._rewards) + bool(self._left_out)
        if not row_count:
            return
        number_end = self._label_width + self._number_width
        bar_width = max(24, self._width // 8)
        self._darken(image, (0, line + 6, number_end + bar_width + 14, line + 12 + row_count * line))

        # A row for each term: name, number, bar
        for row, (name, values) in enumerate(self._rewards.items()):
            y, value = line + 8 + row * line, float(values[frame])
            draw.text((6, y), name, FAINT, self._font)
            draw.text((number_end, y), _format_number(value), INK, self._font, anchor="ra")
            length = value / self._largest * bar_width / 2
            self._draw_bar(draw, number_end + 6 + bar_width // 2, y, length)
        if self._left_out:
            draw.text((6, line + 8 + len(self._rewards) * line), f"and {self._left_out} smaller", FAINT, self._font)

    def _draw_header(self, draw: ImageDraw.ImageDraw, frame: int) -> None:
        annotations, font = self._annotations, self._font
        fitness = annotations.fitness[frame]
        progress = f"step {annotations.steps[frame]} / {annotations.length}"
        right = progress if fitness is None else f"fitness  {_format_number(fitness)}   {progress}"
        draw.text((self._width - 6, 3), right, INK, font, anchor="ra")

        # The title gets the same width in every frame: what the longest text on the right leaves.
        longest = f"fitness  -0.00e+00   step {annotations.length} / {annotations.length}"
        draw.text((6, 3), _truncate_text(self._title, font, self._width - 18 - font.getlength(longest)), FAINT, font)

    def _draw_bar(self, draw: ImageDraw.ImageDraw, middle: float, y: int, length: float) -> None:
        top, bottom = y + self._line * 0.25, y + self._line * 0.8
        left, right = min(middle, middle + length), max(middle, middle + length)
        draw.line((middle, y + 2, middle, y + self._line - 2), FAINT)
        draw.rectangle((left, top, right, bottom), GAIN if length >= 0 else LOSS)

    @staticmethod
    def _darken(image: Image.Image, box: tuple[int, int, int, int]) -> None:
        mask = Image.new("L", (box[2] - box[0], box[3] - box[1]), VEIL)
        image.paste(BACKDROP, box, mask)


def _format_number(value: float) -> str:
    return f"{value:.3g}"


def _truncate_text(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, room: float) -> str:
    """Return the part of a line that fits, with an ellipsis if it was cut."""
    line = "".join(letter if letter.isprintable() else "?" for letter in text)
    if font.getlength(line) <= room:
        return line
    while line and font.getlength(f"{line}…") > room:
        line = line[:-1]
    return f"{line.rstrip()}…" if line else ""


def draw_overlay(
    frames: Iterable[Frame], annotations: FrameAnnotations, title: str, size: tuple[int, int], overlay: bool
) -> Iterator[Frame]:
    """Yield the frames of a video, scaled and with their overlay.

    Args:
        frames: as the environment rendered them, of any size.
        annotations: of the frames.
        title: the first line.
        size: width and height in pixels; frames of other proportions get margins.
        overlay: whether the overlay is drawn.
    """
    drawing = Overlay(annotations, title, *size) if overlay else None
    for number, frame in enumerate(frames):
        image = fit_to_size(Image.fromarray(frame), size)
        if drawing:
            drawing.draw_on(image, number)
        yield np.asarray(image)


def fit_to_size(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return an image scaled to a size, with margins where its proportions differ."""
    if image.size == size:
        return image
    scale = min(size[0] / image.width, size[1] / image.height)
    method = Image.Resampling.NEAREST if image.width < PIXELATED else Image.Resampling.LANCZOS
    inner = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))), method)
    canvas = Image.new("RGB", size, BACKDROP)
    canvas.paste(inner, ((size[0] - inner.width) // 2, (size[1] - inner.height) // 2))
    return canvas
