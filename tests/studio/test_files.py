"""Files of the studio: nothing outside a run is read or served, and all content of a run is shown as text."""

import json
import os
from dataclasses import replace

import pytest
from fakes.studio_case import Visitor, add_video, make_candidate, make_run, save_candidate

from rewardsmith.contract import records

RUN = "/r/first"
SECRET = "the secret"
VIDEO = f"{RUN}/video/g0c00"


@pytest.fixture
def secret(tmp_path):
    file = tmp_path / "secret.mp4"
    file.write_text(SECRET)
    return file


def test_a_video_is_served_in_parts(visitor, run):
    add_video(run, "g0c00", content=b"0123456789")
    answer = visitor.get(f"{VIDEO}/e0-00000000.mp4", range="bytes=2-4")
    assert (answer.status_code, answer.content) == (206, b"234")
    assert answer.headers["content-type"] == "video/mp4"


@pytest.mark.parametrize(
    "path",
    [
        "/static/../server.py",
        "/static/..%2fserver.py",
        "/static/%2e%2e/server.py",
        "/static/..%5cserver.py",
        "/static//etc/passwd",
        "/r/..%2f..%2fetc",
        "/r/%2e%2e/live",
        f"{RUN}/video/..%2f..%2f/secret.mp4",
        f"{VIDEO}/..%2f..%2f..%2f..%2f..%2fsecret.mp4",
        f"{VIDEO}/%2e%2e%2freward.py",
        f"{VIDEO}/../reward.py",
        f"{VIDEO}/e0-00000000.json",
        f"{VIDEO}/e0-00000000.mp4%00",
        f"{RUN}/c/..%2f..%2f..%2fsecret",
        f"{RUN}/config.toml",
    ],
)
def test_an_address_leads_to_no_other_file(visitor, run, secret, path):
    add_video(run, "g0c00")
    assert visitor.get(path).status_code == 404


def test_a_video_that_is_a_link_is_not_served(visitor, run, secret):
    file = add_video(run, "g0c00")
    file.unlink()
    file.symlink_to(secret)
    assert visitor.get(f"{VIDEO}/e0-00000000.mp4").status_code == 409
    assert "<video" not in visitor.get(f"{RUN}/c/g0c00").text


def test_a_folder_of_videos_that_is_a_link_is_not_served(visitor, run, tmp_path):
    add_video(run, "g0c00")
    (run.path / "candidates" / "g0c00" / "videos").rename(tmp_path / "elsewhere")
    (run.path / "candidates" / "g0c00" / "videos").symlink_to(tmp_path / "elsewhere")
    assert visitor.get(f"{VIDEO}/e0-00000000.mp4").status_code == 409


@pytest.mark.parametrize("name", ["../../../../../secret.mp4", "/etc/passwd", "..", "reward.py"])
def test_a_track_that_names_another_file_leads_to_none(visitor, run, secret, name):
    add_video(run, "g0c00", name)
    answer = visitor.get(f"{VIDEO}/{name.rpartition('/')[2]}")
    assert answer.status_code == 404
    assert SECRET not in answer.text


@pytest.mark.parametrize(
    "what", ["journal.jsonl", "task.json", "candidates", "candidates/g0c00", "candidates/g0c00/candidate.json"]
)
def test_a_run_that_holds_a_link_is_not_read(visitor, run, tmp_path, what):
    (run.path / what).rename(tmp_path / "moved")
    (run.path / what).symlink_to(tmp_path / "moved")
    answer = visitor.get(RUN)
    assert answer.status_code == 409
    assert "symbolic link" in answer.text
    assert "cannot be read" in visitor.get("/").text


def test_a_run_that_is_a_link_is_not_shown(run, tmp_path):
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "alias").symlink_to(run.path)
    visitor = Visitor(folder)
    assert "alias" not in visitor.get("/").text
    assert visitor.get("/r/alias").status_code == 404
    visitor.close()


@pytest.mark.parametrize("id", ["../../../tmp", "g0c00/..", "<b>", "g0c01"])
def test_a_candidate_with_a_hostile_id_is_none(visitor, run, id):
    folder = save_candidate(run, make_candidate("g0c02", 9.0))
    about = json.loads((folder / "candidate.json").read_text())
    (folder / "candidate.json").write_text(json.dumps(about | {"id": id}))
    page = visitor.get(RUN).text
    assert "g0c02" not in page
    assert "../" not in page


@pytest.mark.parametrize(
    "name", ["<img src=x onerror=alert(1)>", 'a" onclick="x', "%2e%2e", "line\nbreak", "~0123", "ü", "-rf"]
)
def test_a_run_of_any_name_is_listed_escaped_and_opens(tmp_path, name):
    make_run(tmp_path / name)
    visitor = Visitor(tmp_path)
    page = visitor.get("/").text
    assert "<img" not in page
    assert 'onclick="x' not in page
    address = page.split('class="card" href="')[1].split('"')[0]
    assert visitor.get(address).status_code == 200
    visitor.close()


def test_a_run_whose_name_is_not_text_opens(tmp_path):
    make_run(tmp_path / os.fsdecode(b"\xff\xfe"))
    visitor = Visitor(tmp_path)
    address = visitor.get("/").text.split('class="card" href="')[1].split('"')[0]
    assert visitor.get(address).status_code == 200
    visitor.close()


def test_nothing_that_a_run_holds_becomes_markup(visitor, run):
    evil = "</textarea><script>alert(1)</script>\x1b[2J\u202e"
    one = make_candidate("g0c02", 1.0, ("g0c00",), f"# {evil}\n")
    one = replace(one, cause=evil, proposal=replace(one.proposal, author=evil, rationale=evil))
    one = replace(one, reflection=replace(one.reflection, text=evil, alarms=(evil,)))
    save_candidate(run, one)
    task = replace(run.task, text=evil)
    records.write(task, run.path / "task.json")
    for path in ("/", RUN, f"{RUN}/c/g0c02", f"{RUN}/c/g0c02/edit", f"{RUN}/compare?a=g0c02&b=g0c00"):
        page = visitor.get(path).text
        assert "<script>alert" not in page, path
        assert "\x1b" not in page, path
        assert "\u202e" not in page, path


def test_words_in_an_address_are_not_shown(visitor):
    assert "gotcha" not in visitor.get(f"{RUN}?ok=gotcha").text
    assert "gotcha" not in visitor.get(f"{RUN}/compare?a=gotcha&b=gotcha&episode=gotcha").text
    assert "gotcha" not in visitor.get("/r/gotcha").text
