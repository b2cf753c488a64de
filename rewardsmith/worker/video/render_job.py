"""The render job: each OpenGL backend in turn films the episode in a process of its own, until one gives frames.

MuJoCo reads its backend once, when it is imported, and the warm worker has imported it long ago. Rendering libraries
also crash rather than raise: in a process of its own that is an answer like any other.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from rewardsmith.contract import job_messages, opengl, records
from rewardsmith.contract.errors import UserError, WorkerFailed
from rewardsmith.contract.records import RenderJob, Video

DONE, REFUSED, NO_FRAMES = 0, 3, 4
"""Exit codes of the filming process; it says why on the last line of its standard output."""
FILM = "film.json"
"""What the filming process leaves: the Video."""


def run(job: RenderJob, out: Path) -> Video:
    """Do a render job; `job.json` lies in `out`, the video is written beside it.

    Raises:
        TaskError: if the environment cannot be made, or has no pictures.
        UserError: if no backend renders on this machine.
        WorkerFailed: if the machinery fails otherwise; the traceback is in worker.log.
    """
    tried: dict[str, str] = {}
    for backend in (*opengl.order(os.environ), opengl.NONE):
        answer = _film(out, backend)
        if answer.returncode == DONE:
            return records.read(Video, out / FILM)
        said = answer.stdout.rstrip().rpartition("\n")[2]
        if answer.returncode == REFUSED:
            refused = job_messages.decode(said.encode())
            assert isinstance(refused, job_messages.Refused)  # the only message that this exit code stands for
            raise refused.raised()
        if answer.returncode > 0 and answer.returncode != NO_FRAMES:
            raise WorkerFailed(f"filming {job.env.env_id!r} failed: {_last_line(answer.stderr)}")
        tried[backend] = said if answer.returncode == NO_FRAMES else f"crashed with signal {-answer.returncode}"
    raise UserError(no_backend(tried))


def _film(out: Path, backend: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rewardsmith.worker.video.render_process", str(out)]
    environment = os.environ | {opengl.VARIABLE: backend}
    answer = subprocess.run(command, capture_output=True, text=True, env=environment)
    # Where this process's own output goes, worker.log: what the libraries printed may explain a failure.
    sys.stderr.write(answer.stderr)
    return answer


def _last_line(text: str) -> str:
    return text.rstrip().rpartition("\n")[2] or "it said nothing"


def no_backend(tried: dict[str, str]) -> str:
    """Say that nothing renders here, and what to do.

    >>> no_backend({"egl": "no display", "disable": "-"})
    'no frames can be rendered on this machine (egl: no display). Debian and Ubuntu: apt-get install libegl1 libosmesa6'
    """
    causes = "; ".join(f"{backend}: {cause}" for backend, cause in tried.items() if backend != opengl.NONE)
    return f"no frames can be rendered on this machine ({causes}). {opengl.INSTALL}"
