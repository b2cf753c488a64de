"""From a path to a studio that listens: its application, a free port, and the link that opens it."""

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
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from rewardsmith.contract.errors import RewardsmithError, RunError, UserError
from rewardsmith.contract.text import counted
from rewardsmith.report.charts import STATIC
from rewardsmith.studio import forms, pages
from rewardsmith.studio.context import HERE, Desk, page
from rewardsmith.studio.run_index import Shelf
from rewardsmith.studio.security import ENTER, Guard
from rewardsmith.studio.subprocesses import Children

HOST = "127.0.0.1"
PORT = 8787
TRIES = 20
"""How many ports after the wanted one are tried."""
RUN = "/r/{slug}"
CANDIDATE = RUN + "/c/{id}"


def application(shelf: Shelf, children: Children) -> Starlette:
    """Return the studio's application, unguarded."""
    post = {
        f"{RUN}/say": forms.say,
        f"{RUN}/prefer": forms.prefer,
        f"{RUN}/wish": forms.wish,
        f"{RUN}/go": forms.go,
        f"{RUN}/stop": forms.stop,
        f"{RUN}/render": forms.render,
        f"{CANDIDATE}/weigh": forms.weigh,
        f"{CANDIDATE}/edit": forms.edit,
        f"{CANDIDATE}/check": forms.check,
        "/new": forms.begin,
    }
    get = {
        "/": pages.runs,
        "/new": pages.new,
        RUN: pages.run,
        f"{RUN}/live": pages.moving,
        f"{RUN}/compare": pages.compare,
        f"{RUN}/video/{{id}}/{{file}}": pages.film,
        CANDIDATE: pages.candidate,
        f"{CANDIDATE}/edit": forms.edited,
    }
    routes = [Route(path, handler, methods=["GET"]) for path, handler in get.items()]
    routes += [Route(path, handler, methods=["POST"]) for path, handler in post.items()]
    static = [Mount("/static", StaticFiles(directory=HERE / "static")), Mount("/look", StaticFiles(directory=STATIC))]
    handlers = {HTTPException: _missing, RewardsmithError: _problem}
    app = Starlette(routes=[*routes, *static], exception_handlers=handlers)
    app.state.desk = Desk(shelf, children)
    return app


def serve(path: Path, port: int, say: Callable[[str], None]) -> None:
    """Serve a studio until it is interrupted.

    Args:
        path: a run directory, or a folder of runs.
        port: the first one to try; 0 takes any.
        say: is told the link, in a line.

    Raises:
        RunError: if the path is no folder, or no port is free.
    """
    shelf = Shelf(path)
    listening, found = listen(port)
    if port not in (0, found):
        say(f"Port {port} is in use; this studio takes {found}.")
    children = Children()
    guard = Guard(application(shelf, children), found)
    count = 1 if shelf.single else len(shelf.places())
    say(f"The studio shows {counted(count, 'run')} of {shelf.path}. Open this link; Ctrl-C ends it:")
    say(f"  http://{HOST}:{found}{ENTER}?token={guard.token}")
    config = uvicorn.Config(
        guard, log_level="error", access_log=False, lifespan="off", ws="none", server_header=False,
        timeout_graceful_shutdown=2,
    )  # fmt: skip
    # A studio that is terminated, or whose terminal closes, stops its commands as an interrupted one does. A shell's
    # background job ignores SIGINT, and its commands would inherit that: then nothing could stop them.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        uvicorn.Server(config).run(sockets=[listening])
    except KeyboardInterrupt:
        say("The studio is closed.")
    finally:
        for key in children.close():
            say(f"Stopped: {key}. A search goes on with `rewardsmith resume RUN`.")


def listen(port: int) -> tuple[socket.socket, int]:
    """Return a socket that is bound to a loopback port, and the port.

    Raises:
        RunError: if none of the ports can be had.
    """
    for candidate in range(port, min(port + TRIES, 65_536)) if port else (0,):
        bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((HOST, candidate))
            bound.listen(128)
        except OSError:
            bound.close()
            continue
        return bound, bound.getsockname()[1]
    raise RunError(f"no port from {port} to {min(port + TRIES, 65_536) - 1} is free on {HOST}; choose one with --port")


def _missing(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return page(request, "problem.html", error.status_code, problem=error.detail, back=None)


def _problem(request: Request, error: Exception) -> Response:
    status = 422 if isinstance(error, UserError) else 500
    return page(request, "problem.html", 409 if isinstance(error, RunError) else status, problem=str(error), back=None)
