"""The render job: a separate process films the episode, with one OpenGL backend after the other until one works.

MuJoCo reads its backend once, when it is imported, and the warm worker has imported it already. Rendering libraries
also crash instead of raising: in a separate process that is handled like any other failure.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from rewardsmith.contract import import_path, job_messages, opengl, records
from rewardsmith.contract.errors import UserError, WorkerFailed
from rewardsmith.contract.records import RenderJob, Video

DONE, REFUSED, NO_FRAMES = 0, 3, 4
"""Exit codes of the render process; the last line of its standard output says why."""
VIDEO_RECORD = "film.json"
"""File of the render process's result, a `Video`."""


def run(job: RenderJob, out: Path) -> Video:
    """Do a render job; `job.json` is in `out`, and the video is written there.

    Raises:
        TaskError: if the environment cannot be made, or has no pictures.
        UserError: if no backend renders on this machine.
        WorkerFailed: if the machinery fails otherwise; the traceback is in worker.log.
    """
    tried: dict[str, str] = {}
    for backend in (*opengl.list_backends(os.environ), opengl.NO_OPENGL):
        answer = _run_render_process(out, backend)
        if answer.returncode == DONE:
            return records.read(Video, out / VIDEO_RECORD)
        said = answer.stdout.rstrip().rpartition("\n")[2]
        if answer.returncode == REFUSED:
            refused = job_messages.decode_message(said.encode())
            assert isinstance(refused, job_messages.JobRefused)  # the only message that this exit code stands for
            raise refused.to_error()
        if answer.returncode > 0 and answer.returncode != NO_FRAMES:
            raise WorkerFailed(f"filming {job.env.env_id!r} failed: {_last_line(answer.stderr)}")
        tried[backend] = said if answer.returncode == NO_FRAMES else f"crashed with signal {-answer.returncode}"
    raise UserError(explain_no_backend(tried))


def _run_render_process(out: Path, backend: str) -> subprocess.CompletedProcess[str]:
    command = import_path.python_command("-m", "rewardsmith.worker.video.render_process", str(out))
    variables = os.environ | {opengl.VARIABLE: backend}
    answer = subprocess.run(command, capture_output=True, text=True, env=variables)
    # Where this process's own output goes, worker.log: what the libraries printed may explain a failure.
    sys.stderr.write(answer.stderr)
    return answer


def _last_line(text: str) -> str:
    return text.rstrip().rpartition("\n")[2] or "it printed nothing"


def explain_no_backend(tried: dict[str, str]) -> str:
    """Return the message that no backend renders on this machine, and what to install.

    >>> explain_no_backend({"egl": "no display", "disable": "-"})
    'no frames can be rendered on this machine (egl: no display). Debian and Ubuntu: apt-get install libegl1 libosmesa6'
    """
    causes = "; ".join(f"{backend}: {cause}" for backend, cause in tried.items() if backend != opengl.NO_OPENGL)
    return f"no frames can be rendered on this machine ({causes}). {opengl.INSTALL}"
