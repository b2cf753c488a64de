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

from films import FilmFormat, write_film
from rich.console import Console

from rewardsmith.api.demo import FITNESS_MEANING, film_demo
from rewardsmith.report.demo_result import print_demo_result
from rewardsmith.search.storage import Run

DOCS = Path(__file__).parents[1] / "docs"
SVG_WIDTH = 104
"""Width of the terminal in the picture, in letters."""
FILM = FilmFormat(rendered=(640, 480), crop=(130, 60, 550, 480), shown=(300, 300), slowdown=2.0)


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
    write_film(run, labels, film, FILM)
    for path in (svg, film):
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
