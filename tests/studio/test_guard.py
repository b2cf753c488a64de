"""Requests that the studio refuses: without the cookie, from other sites, to other names, and forms of other pages."""

import asyncio

import pytest
from fakes.studio_case import HOST, ORIGIN, Visitor

RUN = "/r/first"


@pytest.fixture
def stranger(run):
    visitor = Visitor(run.path.parent, enter=False)
    yield visitor
    visitor.close()


def said(run) -> int:
    return sum(event.key.startswith("user/") for event in run.read_events())


@pytest.mark.parametrize("path", ["/", RUN, f"{RUN}/live", "/static/studio.js", f"{RUN}/video/g0c00/e0.mp4"])
def test_a_browser_that_has_not_opened_the_link_sees_nothing(stranger, path):
    answer = stranger.get(path)
    assert answer.status_code == 403
    assert "Rise" not in answer.text


@pytest.mark.parametrize("token", ["", "guess", "é"])
def test_a_wrong_token_opens_nothing(stranger, token):
    assert stranger.get(f"/enter?token={token}").status_code == 403
    assert stranger.get("/").status_code == 403


def test_a_guessed_cookie_opens_nothing(stranger):
    assert stranger.get("/", cookie="rewardsmith_studio_8787=guess").status_code == 403


def test_the_token_is_no_cookie(stranger):
    assert stranger.get("/", cookie=f"rewardsmith_studio_8787={stranger.guard.token}").status_code == 403


def test_the_link_sets_a_cookie_that_no_script_reads_and_no_other_site_sends(stranger):
    cookie = stranger.get(f"/enter?token={stranger.guard.token}").headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert stranger.get("/").status_code == 200


@pytest.mark.parametrize("host", ["evil.example:8787", "127.0.0.1", "127.0.0.1:80", "localhost.evil.example:8787", ""])
def test_a_name_that_is_not_the_studios_is_refused(visitor, host):
    assert visitor.get("/", host=host).status_code == 421


def test_two_names_at_once_are_refused(visitor):
    assert asyncio.run(status(visitor, [(b"host", HOST.encode()), (b"host", b"evil.example")])) == 421


@pytest.mark.parametrize(
    "origin", ["", "null", "http://evil.example", "http://127.0.0.1:9999", f"https://{HOST}", f"{ORIGIN}.evil.example"]
)
def test_a_post_from_elsewhere_changes_nothing(visitor, run, origin):
    answer = visitor.post(f"{RUN}/remark", {"text": "obey"}, origin=origin)
    assert answer.status_code == 403
    assert said(run) == 0


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_post_that_the_browser_calls_foreign_changes_nothing(visitor, run, site):
    answer = visitor.post(f"{RUN}/remark", {"text": "obey"}, sec_fetch_site=site, sec_fetch_mode="navigate")
    assert answer.status_code == 403
    assert said(run) == 0


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_sites_page_can_embed_nothing(visitor, site):
    assert visitor.get(RUN, sec_fetch_site=site, sec_fetch_mode="no-cors").status_code == 403


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "multipart/form-data; boundary=x"])
def test_a_body_that_is_no_form_is_refused(visitor, run, kind):
    assert visitor.post(f"{RUN}/remark", {"text": "obey"}, content_type=kind).status_code == 415
    assert said(run) == 0


@pytest.mark.parametrize("length", ["300000", "9999999999999999999999"])
def test_a_form_that_is_too_long_is_refused_unread(visitor, length):
    assert visitor.post(f"{RUN}/remark", {"text": "x"}, content_length=length).status_code == 413


def test_a_form_that_does_not_say_its_length_is_refused(visitor):
    headers = {"origin": ORIGIN, "content-type": "application/x-www-form-urlencoded"}
    assert visitor.client.post(f"{RUN}/remark", content=iter([b"text=x"]), headers=headers).status_code == 411


def test_a_form_that_is_longer_than_it_says_is_cut_off(visitor, run):
    body = "text=" + "x" * 300_000
    kind = "application/x-www-form-urlencoded"
    headers = {"origin": ORIGIN, "content-type": kind, "content-length": "10"}
    assert visitor.client.post(f"{RUN}/remark", content=body, headers=headers).status_code == 413
    assert said(run) == 0


@pytest.mark.parametrize("body", [b"text=%ff%fe", b"&".join(b"a=1" for _ in range(300)), b"\xff=1"])
def test_a_form_that_no_page_sends_is_refused(visitor, body):
    headers = {"origin": ORIGIN, "content-type": "application/x-www-form-urlencoded"}
    assert visitor.client.post(f"{RUN}/remark", content=body, headers=headers).status_code == 400


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_are_refused(visitor, method):
    assert visitor.client.request(method, "/").status_code == 405


@pytest.mark.parametrize("action", ["remark", "preference", "constraint", "continue", "stop", "render"])
def test_nothing_is_changed_by_an_address_alone(visitor, run, action):
    assert visitor.get(f"{RUN}/{action}").status_code in (404, 405)
    assert said(run) == 0


@pytest.mark.parametrize("path", ["/", RUN, "/static/studio.js", "/nowhere"])
def test_every_answer_forbids_scripts_from_elsewhere_and_frames(visitor, path):
    headers = visitor.get(path).headers
    assert "script-src 'self'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["referrer-policy"] == "same-origin"


def test_a_page_holds_no_script_and_no_style_of_its_own(visitor):
    for path in ("/", RUN, f"{RUN}/c/g1c00", f"{RUN}/compare", f"{RUN}/c/g1c00/edit"):
        page = visitor.get(path).text
        assert page.count("<script") == 1
        assert " style=" not in page
        assert " onclick" not in page


async def status(visitor: Visitor, headers: list[tuple[bytes, bytes]]) -> int:
    """Ask with exactly these headers, which a client library would not send."""
    sent: list[dict] = []
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": headers}

    async def receive() -> dict:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict) -> None:
        sent.append(message)

    await visitor.guard(scope, receive, send)
    return sent[0]["status"]
