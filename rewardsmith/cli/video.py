"""`rewardsmith video`: films recorded episodes of a run, with what each reward term paid written over them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rewardsmith.cli.console import complain, say, say_json
from rewardsmith.contract.text import counted

if TYPE_CHECKING:
    from rewardsmith.executors.base import Executor
    from rewardsmith.report.video import Clip
    from rewardsmith.search.storage import Run


def video(
    run: Annotated[Path, typer.Argument(help="The run directory.")],
    candidate: Annotated[
        str | None,
        typer.Option(
            help="A candidate's id, or final, own-reward, random. [default: the best, trained anew if it was]"
        ),
    ] = None,
    episode: Annotated[
        int | None, typer.Option(min=0, help="Which recorded episode, from 0. [default: the one of median fitness]")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Copy the video to this file.")] = None,
    size: Annotated[str, typer.Option(metavar="WxH", help="Width and height in pixels.")] = "480x360",
    all_: Annotated[bool, typer.Option("--all", help="One video of every candidate that was trained.")] = False,
    plain: Annotated[bool, typer.Option("--plain", help="Write nothing over the picture.")] = False,
    fine: Annotated[bool, typer.Option("--fine", help="Shadows, reflections and smooth edges; slower.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON lines, for programs.")] = False,
) -> None:
    """Film an episode of a RUN as its evaluation ran it; the video lies beside the policy and is made once."""
    from rewardsmith.contract.errors import ConfigError, UserError
    from rewardsmith.executors.local import LocalExecutor
    from rewardsmith.report import video as videos
    from rewardsmith.search.storage import Run

    opened, pixels = Run.open(run), _pixels(size)
    if all_ and (candidate or out):
        raise ConfigError("--all films every candidate: leave --candidate and --out out")
    if out is not None:
        _check_out(out)
    owners = videos.owners(opened) if all_ else (candidate or _default(opened),)
    executor: Executor = LocalExecutor(1, opened.config.limits.job_s, opened.config.limits.memory_mib)
    try:
        for owner in owners:
            try:
                clip = videos.render(
                    opened, owner, episode, size=pixels, overlay=not plain, fast=not fine, executor=executor
                )
            except UserError as error:
                if not all_ or owner == owners[0]:
                    raise
                complain(str(error))
                continue
            _tell(clip, out, json_)
    finally:
        executor.close()


def _default(run: Run) -> str:
    """Return whose video is meant where nobody is named.

    Raises:
        RunError: if nothing has been evaluated yet.
    """
    from rewardsmith.contract.errors import RunError
    from rewardsmith.report import video as videos

    result = run.result()
    if result is not None:
        return videos.BEST if any((run.path / videos.BEST / result.best.id).glob("eval-s*")) else result.best.id
    known = [one for one in run.candidates() if one.fitness is not None and one.id in videos.owners(run)]
    if not known:
        raise RunError(f"{run.path} has no evaluated candidate yet, so there is nothing to film")
    return max(known, key=lambda one: one.fitness or 0.0).id


def _pixels(text: str) -> tuple[int, int]:
    """Read a size such as "480x360".

    Raises:
        ConfigError: if it is none.
    """
    from rewardsmith.contract.errors import ConfigError

    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise ConfigError(f"--size {text!r} is no size; write it as 480x360")
    return int(width), int(height)


def _check_out(out: Path) -> None:
    from rewardsmith.contract import opengl
    from rewardsmith.contract.errors import ConfigError

    kind = opengl.container()
    if out.suffix != f".{kind}":
        why = "" if kind == "mp4" else "; mp4 needs PyAV: pip install 'rewardsmith[video]'"
        raise ConfigError(f"--out {str(out)!r} has to end in .{kind}{why}")


def _tell(clip: Clip, out: Path | None, json_: bool) -> None:
    import shutil

    from rewardsmith.contract import records
    from rewardsmith.report.text import figure

    file = clip.file if out is None else Path(shutil.copyfile(clip.file, out))
    if json_:
        say_json({"file": str(file), "track": str(clip.track), "video": records.dump(clip.video)})
        return
    film = clip.video
    say(f"{file}: {clip.owner}, episode {clip.episode}: fitness {figure(film.fitness)}, {counted(film.length, 'step')}")
    if film.note:
        say(f"  {film.note}")
