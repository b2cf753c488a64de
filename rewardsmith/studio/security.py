"""Who may ask the studio for something, and what every answer of it forbids the browser.

The studio can start trainings and shows what a run holds, so a page from elsewhere must neither read nor write it:

- it listens on the loopback interface, and answers only to the names of that (a rebound DNS name is refused);
- the link carries a token; opening it sets a cookie that no script can read and no other site's request carries;
- what changes something comes from a form of its own (Origin), which no page of another port can send either;
- its pages run no script and load nothing but the studio's own files.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ENTER = "/enter"
MAX_BODY = 256 * 1024
"""Bytes of a form: a program has at most 50,000 characters."""
METHODS = ("GET", "HEAD", "POST")
FORM = "application/x-www-form-urlencoded"
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
ENTERED = (
    '<!doctype html><meta charset="utf-8"><title>rewardsmith</title><link rel="icon" href="/static/icon.svg">'
    '<meta http-equiv="refresh" content="0;url=/">'
)
"""The cookie is SameSite=Strict: after a redirect from a foreign page it would not be sent, from this page it is."""


class Guard:
    """Wraps the application; refuses what does not come from the studio's own pages."""

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app = app
        self._hosts = (f"127.0.0.1:{port}", f"localhost:{port}")
        self._cookie = f"rewardsmith_studio_{port}"
        self.token = secrets.token_urlsafe(24)
        self._session = secrets.token_urlsafe(24)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or let the application answer it."""
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)
        answer: ASGIApp = self._refusal(scope, headers) or self._entered(scope) or self._stranger(headers) or self._app
        await answer(scope, receive, self._with_headers(send))

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        """Return why the request is none of the studio's own; None where it may be."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            return _refused(421, f"this studio answers at http://{self._hosts[0]} only")
        if scope["method"] not in METHODS:
            return _refused(405, f"the studio knows {', '.join(METHODS)}")
        posts = scope["method"] == "POST"
        foreign = headers.get("sec-fetch-site") in ("cross-site", "same-site")
        if foreign and (posts or headers.get("sec-fetch-mode") != "navigate"):
            return _refused(403, "the request comes from another site's page")
        return self._refused_post(headers) if posts else None

    def _refused_post(self, headers: Headers) -> Response | None:
        if headers.getlist("origin") != [f"http://{headers['host']}"]:
            return _refused(403, "forms of the studio's own pages only (Origin)")
        if headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
            return _refused(415, f"a form is {FORM}")
        length = headers.get("content-length", "")
        if not (length.isascii() and length.isdigit()):
            return _refused(411, "a form says its length")
        if len(length) > 9 or int(length) > MAX_BODY:
            return _refused(413, f"a form has at most {MAX_BODY:,} bytes")
        return None

    def _entered(self, scope: Scope) -> Response | None:
        """Return the page that sets the cookie; None unless it is asked for."""
        if scope["path"] != ENTER:
            return None
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if not _same(given, self.token):
            return _refused(403, "the link is not this studio's; open the one that its terminal shows")
        response = HTMLResponse(ENTERED)
        response.set_cookie(self._cookie, self._session, httponly=True, samesite="strict", path="/")
        return response

    def _stranger(self, headers: Headers) -> Response | None:
        """Return a refusal for a browser that has not opened the link."""
        # The standard library's parser stops at the first cookie that is not well formed, and other servers on this
        # machine set theirs for every port.
        if not _same(cookie_parser(headers.get("cookie", "")).get(self._cookie, ""), self._session):
            return _refused(403, "open the link with the token that the studio's terminal shows")
        return None

    def _with_headers(self, send: Send) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        return sending


def _same(given: str, secret: str) -> bool:
    return secrets.compare_digest(given.encode(), secret.encode())


def _refused(status: int, why: str) -> Response:
    return PlainTextResponse(f"refused: {why}\n", status)
