"""The README's pictures of the demo, from a finished run of it.

    rewardsmith demo
    python benchmarks/pictures.py runs/demo

Writes docs/demo.svg, the end of the demo on a terminal, and docs/back-flip.webp: the median episode of the retrained
policies beside the one of policies trained on the environment reward, in step, at half speed.
"""

from __future__ import annotations

import argparse
from io import StringIO
from pathlib import Path

import av
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console

from rewardsmith.api.demo import FITNESS_MEANING, film_demo
from rewardsmith.report.demo_result import print_demo_result
from rewardsmith.report.video import ENVIRONMENT_REWARD, FINAL_OWNER, render_video
from rewardsmith.search.storage import Run

DOCS = Path(__file__).parents[1] / "docs"
SVG_WIDTH = 104
"""Width of the terminal in the picture, in letters."""
SIZE, CROP, SHOWN = (640, 480), (130, 60, 550, 480), (300, 300)
"""Width and height of each film, the part that is shown (left, top, right, bottom), and its size in the picture."""
BAND, GAP = 30, 6
"""Height of the line of text above each film, and the gap between the two."""
SLOWDOWN, HOLD_MS = 2.0, 1200
"""Times slower than the simulation, and how long the last frame stays."""
QUALITY = 60


def main() -> None:
    """Write both pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    run = Run.open(parser.parse_args().run)
    result = run.read_result()
    if result is None or result.reported is None or result.baselines.environment_reward is None:
        raise SystemExit(f"{run.path} has no result yet")

    svg = DOCS / "demo.svg"
    console = Console(file=StringIO(), record=True, width=SVG_WIDTH, force_terminal=True, highlight=False)
    console.print("$ rewardsmith demo", markup=False, style="bold")
    print_demo_result(result, console, run.path, film_demo(run), FITNESS_MEANING)
    svg.write_text(console.export_svg(title="rewardsmith"), encoding="utf-8")

    labels = (
        f"reward found by the demo: {result.reported.mean:.2f}",
        f"environment reward: {result.baselines.environment_reward.mean:.2f}",
    )
    film = DOCS / "back-flip.webp"
    write_film(run, labels, film)
    for path in (svg, film):
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def write_film(run: Run, labels: tuple[str, str], path: Path) -> None:
    """Write the two films side by side as an animated WebP."""
    clips = [render_video(run, owner, size=SIZE, overlay=False) for owner in (FINAL_OWNER, ENVIRONMENT_REWARD)]
    columns = [read_frames(clip.file) for clip in clips]
    length = max(len(frames) for frames in columns)

    joined = []
    for number in range(length):
        frames = [column[min(number, len(column) - 1)] for column in columns]
        joined.append(join_frames(frames, labels))

    shown_ms = round(1000 / clips[0].video.fps * SLOWDOWN)
    durations = [shown_ms] * (length - 1) + [HOLD_MS]
    joined[0].save(path, save_all=True, append_images=joined[1:], duration=durations, loop=0, quality=QUALITY, method=4)


def read_frames(file: Path) -> list[Image.Image]:
    """Return the shown part of each frame of a film."""
    with av.open(str(file)) as container:
        return [frame.to_image().crop(CROP).resize(SHOWN) for frame in container.decode(video=0)]


def join_frames(frames: list[Image.Image], labels: tuple[str, str]) -> Image.Image:
    """Put frames side by side, each below its label."""
    width, height = frames[0].size
    picture = Image.new("RGB", (2 * width + GAP, height + BAND), "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=16)
    for column, (frame, label) in enumerate(zip(frames, labels, strict=True)):
        left = column * (width + GAP)
        picture.paste(frame, (left, BAND))
        draw.text((left + 4, 4), label, fill="black", font=font)
    return picture


if __name__ == "__main__":
    main()
