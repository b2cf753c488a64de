"""`rewardsmith video`: videos of a run's recorded episodes, with the payments of each reward term written over them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rewardsmith.cli.console import confirm_run, print_error, print_json, print_line
from rewardsmith.cli.options import JsonLinesOption, RunArgument, TrustRunOption
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
    from rewardsmith.cli.show import open_run
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

    try:
        with setup.open_local_worker(opened) as executor:
            for owner in owners:
                try:
                    clip = videos.render_video(
                        opened, owner, episode, size=pixels, overlay=not plain, fast=not fine, executor=executor
                    )
                except UserError as error:
                    # With --all, the others may still work.
                    if not all_ or owner == owners[0]:
                        raise
                    print_error(str(error))
                    continue
                _print_clip(clip, out, json_)
    finally:
        for notice in opened.take_notices():
            print_error(notice)


def choose_default_owner(run: Run) -> str:
    """Return the owner that is filmed by default: the best program, retrained if it was.

    Raises:
        RunError: if nothing has been evaluated yet.
    """
    from rewardsmith.contract.errors import RunError
    from rewardsmith.report import video as videos

    result = run.read_result()
    if result is not None:
        from rewardsmith.search.storage.layout import final_owner

        is_retrained = bool(run.layout.list_evaluations(final_owner(result.best.id)))
        return videos.FINAL_OWNER if is_retrained else result.best.id
    filmable = videos.list_filmable_candidates(run)
    evaluated = [
        candidate for candidate in run.read_candidates() if candidate.fitness is not None and candidate.id in filmable
    ]
    if not evaluated:
        raise RunError(f"{run.path} has no evaluated candidate yet, so there is nothing to film")
    return max(evaluated, key=lambda candidate: candidate.fitness or 0.0).id


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
