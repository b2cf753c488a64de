"""Server of the studio: its application, a free port, and the link that opens it."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from rewardsmith.contract.errors import RewardsmithError, RunError, UserError
from rewardsmith.contract.text import pluralize
from rewardsmith.report.charts import STATIC
from rewardsmith.studio import comparison, forms, new_search, pages
from rewardsmith.studio.context import STUDIO_DIR, StudioContext, render_page
from rewardsmith.studio.run_index import RunIndex
from rewardsmith.studio.security import ENTER_PATH, RequestGuard
from rewardsmith.studio.subprocesses import Subprocesses

HOST = "127.0.0.1"
PORT = 8787
PORT_TRIES = 20
"""Number of ports that are tried, from the wanted one on."""
RUN_PATH = "/r/{slug}"
CANDIDATE_PATH = RUN_PATH + "/c/{id}"


def build_application(index: RunIndex, subprocesses: Subprocesses) -> Starlette:
    """Build the studio's application, without the guard that checks requests."""
    post_routes = {
        f"{RUN_PATH}/remark": forms.add_remark,
        f"{RUN_PATH}/preference": forms.add_preference,
        f"{RUN_PATH}/constraint": forms.change_constraint,
        f"{RUN_PATH}/undo": forms.undo_feedback,
        f"{RUN_PATH}/continue": forms.continue_search,
        f"{RUN_PATH}/stop": forms.stop_search,
        f"{RUN_PATH}/render": forms.render_videos,
        f"{CANDIDATE_PATH}/weights": forms.submit_weights,
        f"{CANDIDATE_PATH}/edit": forms.submit_program,
        f"{CANDIDATE_PATH}/check": forms.check_program,
        "/new": new_search.start_search,
    }
    get_routes = {
        "/": pages.show_runs,
        "/new": new_search.show_new_search,
        RUN_PATH: pages.show_run,
        f"{RUN_PATH}/live": pages.show_live_part,
        f"{RUN_PATH}/compare": comparison.show_comparison,
        f"{RUN_PATH}/video/{{id}}/{{file}}": pages.serve_video,
        CANDIDATE_PATH: pages.show_candidate,
        f"{CANDIDATE_PATH}/edit": forms.show_editor,
    }
    routes: list[BaseRoute] = [Route(path, handler, methods=["GET"]) for path, handler in get_routes.items()]
    routes += [Route(path, handler, methods=["POST"]) for path, handler in post_routes.items()]
    routes.append(Mount("/static", StaticFiles(directory=STUDIO_DIR / "static")))
    routes.append(Mount("/look", StaticFiles(directory=STATIC)))

    handlers = {HTTPException: _show_http_error, RewardsmithError: _show_error}
    app = Starlette(routes=routes, exception_handlers=handlers)
    app.state.context = StudioContext(index, subprocesses)
    return app


def serve_studio(path: Path, port: int, say: Callable[[str], None]) -> None:
    """Serve a studio until it is interrupted.

    Args:
        path: a run directory, or a folder of runs.
        port: the first one to try; 0 takes any.
        say: prints a line, such as the link.

    Raises:
        RunError: if the path is not a folder, or no port is free.
    """
    index = RunIndex(path)
    listening, bound_port = bind_port(port)
    subprocesses = Subprocesses()
    guard = RequestGuard(build_application(index, subprocesses), bound_port)

    # The link, on the terminal.
    if port not in (0, bound_port):
        say(f"Port {port} is in use; this studio takes {bound_port}.")
    count = 1 if index.is_single_run else len(index.list_runs())
    say(f"The studio shows {pluralize(count, 'run')} of {index.path}. Open this link; Ctrl-C stops the studio:")
    say(f"  http://{HOST}:{bound_port}{ENTER_PATH}?token={guard.token}")

    config = uvicorn.Config(
        guard, log_level="error", access_log=False, lifespan="off", ws="none", server_header=False,
        timeout_graceful_shutdown=2,
    )  # fmt: skip
    # A studio that is terminated, or whose terminal closes, stops its commands like an interrupted one. A background
    # job of a shell ignores SIGINT, and its commands would inherit that: then nothing could stop them.
    for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signal_number, signal.default_int_handler)
    try:
        uvicorn.Server(config).run(sockets=[listening])
    except KeyboardInterrupt:
        say("The studio is closed.")
    finally:
        for key in subprocesses.close():
            say(f"Stopped: {key}. Continue a search with `rewardsmith resume RUN`.")


def bind_port(port: int) -> tuple[socket.socket, int]:
    """Bind a socket to a free loopback port; return the socket and the port.

    Raises:
        RunError: if none of the ports is free.
    """
    end = min(port + PORT_TRIES, 65_536)
    for candidate_port in range(port, end) if port else (0,):
        bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((HOST, candidate_port))
            bound.listen(128)
        except OSError:
            bound.close()
            continue
        return bound, bound.getsockname()[1]
    raise RunError(f"no port from {port} to {end - 1} is free on {HOST}; choose one with --port")


def _show_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return render_page(request, "problem.html", error.status_code, problem=error.detail)


def _show_error(request: Request, error: Exception) -> Response:
    status = 409 if isinstance(error, RunError) else 422 if isinstance(error, UserError) else 500
    return render_page(request, "problem.html", status, problem=str(error))
