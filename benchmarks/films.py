"""Animated pictures of two policies of a run side by side: the best program's and the environment reward's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
from PIL import Image, ImageDraw, ImageFont

from rewardsmith.report.video import ENVIRONMENT_REWARD, FINAL_OWNER, render_video
from rewardsmith.search.storage import Run

BAND, GAP = 30, 6
"""Height of the line of text above each film, and the gap between the two, in pixels."""
HOLD_MS = 1200
"""How long the last frame stays."""


@dataclass(frozen=True)
class FilmFormat:
    """Sizes, speed and quality of a film."""

    rendered: tuple[int, int]
    """Width and height of each half as it is rendered."""
    crop: tuple[int, int, int, int]
    """The part that is shown: left, top, right, bottom."""
    shown: tuple[int, int]
    """Its width and height in the picture."""
    slowdown: float = 1.0
    """Times slower than the simulation."""
    most_fps: float = 60.0
    """Most frames shown in a second; others are left out."""
    most_s: float = 60.0
    """Length at most, in seconds of the film."""
    quality: int = 60
    font_size: int = 16


def write_film(run: Run, labels: tuple[str, str], path: Path, format: FilmFormat) -> None:
    """Write the median episodes of the retrained policies and of the baseline's as an animated WebP."""
    clips = [
        render_video(run, owner, size=format.rendered, overlay=False) for owner in (FINAL_OWNER, ENVIRONMENT_REWARD)
    ]

    # Every so many frames of a video is one of the film, up to the film's length.
    video_fps = clips[0].video.fps / format.slowdown
    stride = max(1, round(video_fps / format.most_fps))
    count = round(format.most_s * video_fps / stride)
    columns = [read_frames(clip.file, format)[::stride][:count] for clip in clips]

    # The shorter one stays on its last frame.
    length = max(len(frames) for frames in columns)
    joined = []
    for number in range(length):
        frames = [column[min(number, len(column) - 1)] for column in columns]
        joined.append(join_frames(frames, labels, format.font_size))

    durations = [round(1000 * stride / video_fps)] * (length - 1) + [HOLD_MS]
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"duration": durations, "loop": 0, "quality": format.quality, "method": 4}
    joined[0].save(path, save_all=True, append_images=joined[1:], **options)


def read_frames(file: Path, format: FilmFormat) -> list[Image.Image]:
    """Return the shown part of each frame of a video."""
    with av.open(str(file)) as container:
        return [frame.to_image().crop(format.crop).resize(format.shown) for frame in container.decode(video=0)]


def join_frames(frames: list[Image.Image], labels: tuple[str, str], font_size: int) -> Image.Image:
    """Put frames side by side, each below its label."""
    width, height = frames[0].size
    picture = Image.new("RGB", (2 * width + GAP, height + BAND), "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=font_size)
    for column, (frame, label) in enumerate(zip(frames, labels, strict=True)):
        left = column * (width + GAP)
        picture.paste(frame, (left, BAND))
        draw.text((left + 4, 4), label, fill="black", font=font)
    return picture
