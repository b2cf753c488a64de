"""`rewardsmith video`: videos of a run's recorded episodes, with the payments of each reward term written over them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rewardsmith.cli.console import print_error, print_json, print_line
from rewardsmith.cli.options import JsonLinesOption, RunArgument, TrustRunOption
from rewardsmith.cli.runs import choose_default_owner, confirm_run, open_run
from rewardsmith.contract.text import format_number, pluralize

if TYPE_CHECKING:
    from rewardsmith.report.video import VideoClip
    from rewardsmith.search.storage import Run


def video(
    run: RunArgument,
    candidate: Annotated[
        str | None,
        typer.Option(
            help="A candidate's id, or final, environment-reward, random. "
            "[default: the best program, retrained if it was]"
        ),
    ] = None,
    episode: Annotated[
        int | None,
        typer.Option(min=0, help="Number of the recorded episode, from 0. [default: the one of median fitness]"),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Copy the video to this file.")] = None,
    size: Annotated[str, typer.Option(metavar="WxH", help="Width and height in pixels.")] = "480x360",
    all_: Annotated[bool, typer.Option("--all", help="One video of every candidate that was trained.")] = False,
    plain: Annotated[bool, typer.Option("--plain", help="Write no text over the picture.")] = False,
    fine: Annotated[bool, typer.Option("--fine", help="Shadows, reflections and smooth edges; slower.")] = False,
    trust: TrustRunOption = False,
    json_: JsonLinesOption = False,
) -> None:
    """Render an episode of RUN as its evaluation ran it; the video is kept beside the policy and made once."""
    from rewardsmith.contract.errors import ConfigError, UserError
    from rewardsmith.report import video as videos
    from rewardsmith.search import setup

    opened, pixels = open_run(run), _parse_size(size)
    if all_ and (candidate or out):
        raise ConfigError("--all films every candidate: leave --candidate and --out out")
    if out is not None:
        _check_out(out)
    confirm_run(opened, trust, executor_is_given=True)
    owners = videos.list_filmable_candidates(opened) if all_ else (candidate or choose_default_owner(opened),)

    with _print_notices(opened), setup.open_local_worker(opened) as executor:
        render = partial(videos.render_video, opened, size=pixels, overlay=not plain, fast=not fine, executor=executor)
        for owner in owners:
            try:
                _print_clip(render(owner, episode), out, json_)
            except UserError as error:
                # With --all, the others may still work.
                if owner == owners[0]:
                    raise
                print_error(str(error))


@contextmanager
def _print_notices(run: Run) -> Iterator[None]:
    """Print what a run has to say about its files, when the block has ended."""
    try:
        yield
    finally:
        for notice in run.take_notices():
            print_error(notice)


def _parse_size(text: str) -> tuple[int, int]:
    """Read a size such as "480x360".

    Raises:
        ConfigError: if it is not a size.
    """
    from rewardsmith.contract.errors import ConfigError

    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise ConfigError(f"--size {text!r} is not a size; write it as 480x360")
    return int(width), int(height)


def _check_out(out: Path) -> None:
    from rewardsmith.contract import opengl
    from rewardsmith.contract.errors import ConfigError

    kind = opengl.choose_video_format()
    if out.suffix != f".{kind}":
        why = "" if kind == "mp4" else "; mp4 needs PyAV: pip install 'rewardsmith[video]'"
        raise ConfigError(f"--out {str(out)!r} has to end in .{kind}{why}")


def _print_clip(clip: VideoClip, out: Path | None, json_: bool) -> None:
    import shutil

    from rewardsmith.contract import records

    file = clip.file if out is None else Path(shutil.copyfile(clip.file, out))
    if json_:
        print_json({"file": str(file), "track": str(clip.track), "video": records.dump(clip.video)})
        return
    fitness, length = format_number(clip.video.fitness), pluralize(clip.video.length, "step")
    print_line(f"{file}: {clip.owner}, episode {clip.episode}: fitness {fitness}, {length}")
    if clip.video.note:
        print_line(f"  {clip.video.note}")
