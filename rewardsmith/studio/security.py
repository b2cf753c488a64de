"""Checks of every request to the studio, and headers that restrict what the browser does with an answer.

The studio can start trainings and shows the content of runs, so a page of another site must neither read nor write it:

- it listens on the loopback interface and answers only to its names (a rebound DNS name is refused);
- the link carries a token; opening it sets a cookie that no script can read and no request of another site carries;
- a change comes from a form of the studio's own pages (Origin), which no page of another port can send either;
- its pages run no script and load nothing except the studio's own files.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ENTER_PATH = "/enter"
MAX_BODY_BYTES = 256 * 1024
"""Bytes of a form: a program has at most 50,000 characters."""
METHODS = ("GET", "HEAD", "POST")
FORM_TYPE = "application/x-www-form-urlencoded"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # "no-referrer" would make browsers send "Origin: null" with the studio's own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
ENTER_PAGE = (
    '<!doctype html><meta charset="utf-8"><title>rewardsmith</title><link rel="icon" href="/static/icon.svg">'
    '<meta http-equiv="refresh" content="0;url=/">'
)
"""Page that sets the cookie. The cookie is SameSite=Strict: a redirect from another site's page would not send it."""


class RequestGuard:
    """Wraps the application and refuses requests that do not come from the studio's own pages."""

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app = app
        self._hosts = (f"127.0.0.1:{port}", f"localhost:{port}")
        self._cookie = f"rewardsmith_studio_{port}"
        self.token = secrets.token_urlsafe(24)
        self._session = secrets.token_urlsafe(24)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse one request, or let the application answer it."""
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)
        answer: ASGIApp = (
            self._refuse_request(scope, headers)
            or self._build_enter_page(scope)
            or self._refuse_without_cookie(headers)
            or self._app
        )
        await answer(scope, receive, self._with_headers(send))

    def _refuse_request(self, scope: Scope, headers: Headers) -> Response | None:
        """Return a refusal if the request cannot come from a page of the studio; None otherwise."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            return _build_refusal(421, f"this studio answers at http://{self._hosts[0]} only")
        if scope["method"] not in METHODS:
            return _build_refusal(405, f"the studio knows {', '.join(METHODS)}")
        posts = scope["method"] == "POST"
        foreign = headers.get("sec-fetch-site") in ("cross-site", "same-site")
        if foreign and (posts or headers.get("sec-fetch-mode") != "navigate"):
            return _build_refusal(403, "the request comes from another site's page")
        return self._refuse_post(headers) if posts else None

    def _refuse_post(self, headers: Headers) -> Response | None:
        """Return a refusal if a POST is not a form of the studio's own pages, or too large; None otherwise."""
        if headers.getlist("origin") != [f"http://{headers['host']}"]:
            return _build_refusal(403, "forms of the studio's own pages only (Origin)")
        if headers.get("content-type", "").partition(";")[0].strip().lower() != FORM_TYPE:
            return _build_refusal(415, f"a form is {FORM_TYPE}")
        length = headers.get("content-length", "")
        if not (length.isascii() and length.isdigit()):
            return _build_refusal(411, "a form says its length")
        if len(length) > 9 or int(length) > MAX_BODY_BYTES:
            return _build_refusal(413, f"a form has at most {MAX_BODY_BYTES:,} bytes")
        return None

    def _build_enter_page(self, scope: Scope) -> Response | None:
        """Return the page that sets the cookie, for the link with the token; None for any other path."""
        if scope["path"] != ENTER_PATH:
            return None
        token = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if not _is_same(token, self.token):
            return _build_refusal(403, "the link is not this studio's; open the one that its terminal shows")
        response = HTMLResponse(ENTER_PAGE)
        response.set_cookie(self._cookie, self._session, httponly=True, samesite="strict", path="/")
        return response

    def _refuse_without_cookie(self, headers: Headers) -> Response | None:
        """Return a refusal for a browser that has not opened the link; None otherwise."""
        # The standard library's parser stops at the first cookie that is not well formed, and other servers on this
        # machine set theirs for every port.
        if not _is_same(cookie_parser(headers.get("cookie", "")).get(self._cookie, ""), self._session):
            return _build_refusal(403, "open the link with the token that the studio's terminal shows")
        return None

    def _with_headers(self, send: Send) -> Send:
        """Return a `send` that adds the headers to every answer."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        return send_with_headers


def _is_same(text: str, secret: str) -> bool:
    return secrets.compare_digest(text.encode(), secret.encode())


def _build_refusal(status: int, why: str) -> Response:
    return PlainTextResponse(f"refused: {why}\n", status)
