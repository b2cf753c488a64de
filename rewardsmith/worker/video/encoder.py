"""Frames become a file: mp4 (h264) with PyAV, an animated WebP with Pillow where that is missing; stills become PNG."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from rewardsmith.contract.opengl import container
from rewardsmith.worker.video.camera import Frame

MOST_FRAMES = {"mp4": 2000, "webp": 400}
"""An mp4 is written frame by frame; Pillow holds all frames of a WebP at once."""
STILLS = "stills.npz"
QUALITY = 75
"""Of a WebP, of 100."""
H264 = {"crf": "23", "preset": "veryfast", "threads": "1"}


def most_frames() -> int:
    """Return how many frames a video of this kind may have."""
    return MOST_FRAMES[container()]


def write(frames: Iterable[Frame], fps: Fraction, out: Path) -> str:
    """Write a film into a folder and return the file's name.

    Args:
        frames: at least one; all of one size, width and height even.
        fps: frames a second.
        out: the folder.
    """
    name = f"video.{container()}"
    if container() == "mp4":
        _mp4(frames, fps, out / name)
    else:
        _webp(frames, fps, out / name)
    return name


def write_stills(frames: Iterable[Frame], steps: Sequence[int], out: Path) -> str:
    """Write frames as PNG, each under its step, into one file of a folder, and return its name."""
    packed = {}
    for step, frame in zip(steps, frames, strict=True):
        buffer = io.BytesIO()
        Image.fromarray(frame).save(buffer, "PNG", optimize=True)
        packed[str(step)] = np.frombuffer(buffer.getvalue(), np.uint8)
    np.savez(out / STILLS, allow_pickle=False, **packed)
    return STILLS


def _mp4(frames: Iterable[Frame], fps: Fraction, path: Path) -> None:
    import av

    # The index goes to the front, so that a browser plays before it has everything.
    with av.open(str(path), "w", format="mp4", container_options={"movflags": "faststart"}) as film:
        stream = film.add_stream("libx264", rate=fps, options=H264)
        stream.pix_fmt = "yuv420p"
        for number, frame in enumerate(frames):
            if number == 0:
                stream.height, stream.width = frame.shape[:2]
            film.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        film.mux(stream.encode())


def _webp(frames: Iterable[Frame], fps: Fraction, path: Path) -> None:
    first, *more = (Image.fromarray(frame) for frame in frames)
    shown_ms = max(1, round(1000 / fps))
    first.save(path, save_all=True, append_images=more, duration=shown_ms, loop=0, quality=QUALITY)
