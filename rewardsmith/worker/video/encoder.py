"""Encoding of frames: mp4 (h264) with PyAV, an animated WebP with Pillow where that is missing; PNG for stills."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from rewardsmith.contract.opengl import choose_video_format
from rewardsmith.worker.video.camera import Frame

MOST_FRAMES = {"mp4": 2000, "webp": 400}
"""Largest number of frames: an mp4 is written frame by frame, while Pillow holds all frames of a WebP."""
STILLS = "stills.npz"
QUALITY = 75
"""Quality of a WebP, of 100."""
H264 = {"crf": "23", "preset": "veryfast", "threads": "1"}


def most_frames() -> int:
    """Return the largest number of frames of a video, in the format that is available."""
    return MOST_FRAMES[choose_video_format()]


def write_video(frames: Iterable[Frame], fps: Fraction, out: Path) -> str:
    """Write a video into a folder and return the file's name.

    Args:
        frames: at least one; all of one size, width and height even.
        fps: frames a second.
        out: the folder.
    """
    name = f"video.{choose_video_format()}"
    if choose_video_format() == "mp4":
        _write_mp4(frames, fps, out / name)
    else:
        _write_webp(frames, fps, out / name)
    return name


def write_stills(frames: Iterable[Frame], steps: Sequence[int], out: Path) -> str:
    """Write frames as PNG into one npz file of a folder, each named after its step, and return the file's name."""
    packed = {}
    for step, frame in zip(steps, frames, strict=True):
        buffer = io.BytesIO()
        Image.fromarray(frame).save(buffer, "PNG", optimize=True)
        packed[str(step)] = np.frombuffer(buffer.getvalue(), np.uint8)
    np.savez(out / STILLS, allow_pickle=False, **packed)
    return STILLS


def _write_mp4(frames: Iterable[Frame], fps: Fraction, path: Path) -> None:
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


def _write_webp(frames: Iterable[Frame], fps: Fraction, path: Path) -> None:
    first, *more = (Image.fromarray(frame) for frame in frames)
    shown_ms = max(1, round(1000 / fps))
    first.save(path, save_all=True, append_images=more, duration=shown_ms, loop=0, quality=QUALITY)
