"""Pages and forms of the studio: feedback becomes events of the journal, and bad input becomes an error message."""

import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from fakes.paths import make_folder
from fakes.studio_case import PROGRAM, Visitor, add_video, make_candidate, make_run, save_candidate

from rewardsmith.contract import records
from rewardsmith.contract.errors import RunError, UserError
from rewardsmith.contract.records import Baselines, BehaviourDescriptor, Interval, ModelUsage, Result
from rewardsmith.search import feedback
from rewardsmith.search.storage import Run
from rewardsmith.studio import run_state
from rewardsmith.studio.run_index import RunRef
from rewardsmith.studio.server import bind_port
from rewardsmith.studio.subprocesses import CommandState, Subprocesses

RUN = "/r/first"


def inputs(run: Run) -> list:
    return [said.input for said in feedback.load_state(run).events]


def finish(run: Run) -> None:
    known = run.read_candidates()
    own = Interval(1.0, 0.5, 1.5, (0.9, 1.1))
    run.save_result(
        Result(
            str(run.path),
            "Rise",
            "Thing-v0",
            "height[-1]",
            known[-1],
            tuple(known),
            own,
            Baselines(0.0, own),
            2.0,
            9,
            ModelUsage(),
        )
    )


def test_a_cell_of_the_archive_leads_to_its_program(visitor, run):
    assert "Archive of behaviours" not in visitor.get(RUN).text
    run.write_task(replace(run.task, behaviour=(BehaviourDescriptor("<b>pace", "mean(height)", 0.0, 1.0, 2),)))
    one = make_candidate("g0c01", 2.0)
    save_candidate(run, replace(one, evaluations=(replace(one.evaluations[0], metrics={"<b>pace": 0.7}),)))
    for page in (visitor.get(RUN).text, visitor.get(f"{RUN}/live").text):
        assert "Archive of behaviours" in page and "1 of 2 cells filled (50 %)" in page
        archive = page.partition('<svg class="archive"')[2].partition("</svg>")[0]
        assert archive.count(f'<a href="{RUN}/c/g0c01">') == 1
        assert "&lt;b&gt;pace 0.5 to 1: g0c01, fitness 2" in archive
        assert "candidates/g0c01/train-s0" in page and "<b>pace" not in page
    assert visitor.get(f"{RUN}/c/g0c01").status_code == 200


def test_a_studio_of_one_run_opens_at_that_run(run):
    visitor = Visitor(run.path)
    assert visitor.get("/").headers["location"] == RUN
    assert visitor.get("/new").status_code == 404
    visitor.close()


def test_the_list_says_of_each_run_how_it_stands(visitor, run):
    make_run(run.path.parent / "second", "Sink")
    page = visitor.get("/").text
    assert "Rise" in page
    assert "Sink" in page
    assert page.count(">interrupted<") == 2


def test_a_run_of_another_version_is_listed_with_the_reason(visitor, run):
    about = json.loads((run.path / "provenance.json").read_text())
    (run.path / "provenance.json").write_text(json.dumps(about | {"format": 99}))
    assert "has format 99" in visitor.get("/").text
    assert visitor.get(RUN).status_code == 409


def test_a_run_whose_generations_cannot_be_continued_is_to_be_read(visitor, run):
    lines = (run.path / "journal.jsonl").read_text().splitlines(keepends=True)
    (run.path / "journal.jsonl").write_text("".join(line for line in lines if "/evolution/plan" not in line))
    page = visitor.get(RUN).text
    assert "its generations cannot be continued" in page
    assert f'action="{RUN}/continue"' not in page
    assert visitor.post(f"{RUN}/remark", {"text": "x"}).status_code == 409


@pytest.mark.parametrize("file", ["task.json", "candidates/g0c00/candidate.json", "journal.jsonl"])
def test_a_damaged_run_is_listed_and_says_so(visitor, run, file):
    (run.path / file).write_text("{\n{\n")
    assert "cannot be read" in visitor.get("/").text
    assert visitor.get(RUN).status_code == 409


def test_a_candidate_shows_its_program_its_findings_at_the_line_and_what_changed(visitor):
    page = visitor.get(f"{RUN}/c/g1c00").text
    assert "Changes from g0c00" in page
    assert "rises &amp; shines" in page.split('id="L5"')[1].split("</tr>")[0]
    assert '<pre class="added">+ WEIGHTS' in page
    assert "g1c00 may be cheating" in page


def test_a_remark_is_an_event_of_the_journal_with_the_raters_name(visitor, run):
    answer = visitor.post(f"{RUN}/remark", {"text": "Stay <upright>", "by": "Ada"})
    assert answer.headers["location"] == f"{RUN}?ok=remark"
    assert inputs(run) == [feedback.UserRemark("Stay <upright>", None, "Ada")]
    page = visitor.get(RUN).text
    assert "Stay &lt;upright&gt;" in page
    assert 'name="by" value="Ada"' in page


@pytest.mark.parametrize("answer", ["a", "b", "equal", "neither"])
def test_an_answer_is_recorded_with_its_reason(visitor, run, answer):
    fields = {"a": "g0c00", "b": "g0c01", "answer": answer, "reason": "it lands", "by": "Ada"}
    assert visitor.post(f"{RUN}/preference", fields).status_code == 303
    assert inputs(run) == [feedback.Preference("g0c00", "g0c01", answer, "it lands", "Ada")]


def test_several_raters_are_told_apart_and_their_disagreement_is_shown(visitor):
    for by, answer in (("Ada", "a"), ("Ben", "b")):
        visitor.post(f"{RUN}/preference", {"a": "g0c00", "b": "g0c01", "answer": answer, "by": by})
    page = visitor.get(RUN).text
    assert "2 comparisons by Ada, Ben" in page
    assert "raters agree on 0 % of 1" in page


def test_an_answer_about_two_videos_names_the_episode(visitor, run):
    for id in ("g0c00", "g0c01"):
        add_video(run, id)
    page = visitor.get(f"{RUN}/compare?a=g0c00&b=g0c01").text
    assert page.count("<video") == 2
    assert 'name="a" value="g0c00/s0/0"' in page


def test_a_missing_video_is_a_button(visitor):
    page = visitor.get(f"{RUN}/compare?a=g0c00&b=g0c01").text
    assert "Render both videos" in page
    assert "Render the video" in visitor.get(f"{RUN}/c/g0c00").text


def test_an_animated_picture_stands_in_for_a_video(visitor, run):
    add_video(run, "g0c00", "e0-00000000.webp").write_bytes(b"RIFF")
    assert '<img class="film"' in visitor.get(f"{RUN}/c/g0c00").text
    assert visitor.get(f"{RUN}/video/g0c00/e0-00000000.webp").headers["content-type"] == "image/webp"


def test_terms_are_pinned_banned_and_released(visitor, run):
    for pick in ("pin up", "ban noise", "release up"):
        assert visitor.post(f"{RUN}/constraint", {"pick": pick, "candidate": "g0c00"}).status_code == 303
    known = feedback.load_state(run)
    assert ([one.term for one in known.pins], [one.term for one in known.bans]) == ([], ["noise"])
    assert "banned" in visitor.get(RUN).text


def test_a_slider_becomes_a_program_of_the_next_generation(visitor, run):
    assert visitor.post(f"{RUN}/c/g0c00/weights", {"w.up": "2.5"}).status_code == 303
    assert dict(inputs(run)[0].weights) == {"up": 2.5}
    assert "other weights for g0c00" in visitor.get(RUN).text


@pytest.mark.parametrize("weight", ["1.0", "nan", "inf", "much", ""])
def test_a_weight_that_is_none_or_no_other_is_refused(visitor, run, weight):
    assert visitor.post(f"{RUN}/c/g0c00/weights", {"w.up": weight}).status_code == 422
    assert inputs(run) == []


def test_an_edited_program_is_checked_and_kept(visitor, run):
    source = PROGRAM.format(worth=7.0)
    assert visitor.post(f"{RUN}/c/g0c00/edit", {"source": source.replace("\n", "\r\n")}).status_code == 303
    assert inputs(run)[0].source == source


@pytest.mark.parametrize(
    "source", ["", "nonsense(", "def reward(after):\n    return {'up': after.hight}\n", "\x00", "(" * 9000]
)
def test_a_program_edited_into_nonsense_comes_back_with_what_is_wrong(visitor, run, source):
    answer = visitor.post(f"{RUN}/c/g0c00/edit", {"source": source})
    assert answer.status_code == 422
    assert "Not accepted" in answer.text
    assert inputs(run) == []


def test_the_critic_reads_along_without_a_trace(visitor, run):
    told = visitor.post(
        f"{RUN}/c/g0c00/check", {"source": "def reward(after):\n    return {'up': after.hight}\n"}
    ).json()
    assert not told["accepted"]
    assert told["findings"][0]["line"] == 2
    assert "height" in told["findings"][0]["message"]
    assert inputs(run) == []


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("remark", {"text": ""}),
        ("remark", {"text": "x" * 100_000}),
        ("preference", {"a": "g0c00", "b": "g0c00", "answer": "a"}),
        ("preference", {"a": "g0c00", "b": "g9c09", "answer": "a"}),
        ("preference", {"a": "../..", "b": "g0c00", "answer": "a"}),
        ("preference", {"a": "g0c00", "b": "g0c01", "answer": "perhaps"}),
        ("constraint", {"pick": "explode up"}),
        ("render", {"owners": "g0c00", "episode": "99"}),
    ],
)
def test_input_that_cannot_be_is_refused_in_a_line(visitor, run, path, fields):
    answer = visitor.post(f"{RUN}/{path}", fields)
    assert answer.status_code == 422
    assert 'class="trouble"' in answer.text
    assert inputs(run) == []


@pytest.mark.parametrize("path", ["remark", "c/g7c00/weightsts", "render"])
def test_input_about_no_candidate_is_refused(visitor, path):
    assert visitor.post(f"{RUN}/{path}", {"about": "g7c00", "owners": "g7c00", "text": "x"}).status_code == 404


def test_a_running_search_takes_no_feedback_and_says_so(visitor, run):
    journal = run.open_journal()
    try:
        assert 'data-status="running"' in visitor.get(RUN).text
        answer = visitor.post(f"{RUN}/remark", {"text": "wait"})
        assert answer.status_code == 409
        assert "being run by another process" in answer.text
        assert visitor.post(f"{RUN}/continue").status_code == 422
    finally:
        journal.close()
    assert inputs(run) == []


def test_a_running_training_is_followed(visitor, run):
    folder = make_folder(run.path, "candidates", "g1c01", "train-s0")
    point = records.dump(make_candidate("g0c00", 1.0).trainings[0].curve[1])
    (folder / "progress.jsonl").write_text(json.dumps(point) + "\n" + json.dumps(point)[:20])
    journal = run.open_journal()
    page = visitor.get(f"{RUN}/live").text
    journal.close()
    assert f"2,000 of {run.config.search.env_steps:,} steps" in page
    assert "g1c01" in page


def test_what_moves_is_sent_only_when_it_moved(visitor, run):
    first = visitor.get(f"{RUN}/live")
    tag = first.headers["etag"]
    assert visitor.get(f"{RUN}/live", if_none_match=tag).status_code == 304
    save_candidate(run, replace(make_candidate("g1c01", 4.0), status="failed", fitness=None))
    second = visitor.get(f"{RUN}/live", if_none_match=tag)
    assert second.status_code == 200
    assert "g1c01" in second.text


def test_two_tabs_can_speak_at_once(visitor, run):
    texts = [f"remark {number}" for number in range(4)]
    for text in texts:
        assert visitor.post(f"{RUN}/remark", {"text": text}).status_code == 303
    assert [one.text for one in inputs(run)] == texts


@pytest.fixture
def begun(monkeypatch):
    """The commands that a page starts, which are not."""
    commands: list[list[str]] = []
    monkeypatch.setattr(Subprocesses, "start", lambda self, key, arguments: commands.append(list(arguments)))
    return commands


def test_the_button_resumes_an_interrupted_run(visitor, run, begun):
    visitor.post(f"{RUN}/continue")
    assert begun == [["resume", str(run.path)]]


def test_the_button_starts_the_next_generation_of_a_finished_run(visitor, run, begun):
    finish(run)
    assert "Next generation" in visitor.get(RUN).text
    visitor.post(f"{RUN}/continue")
    assert begun == [["refine", str(run.path), "--yes"]]


def test_a_new_search_is_begun_with_what_the_form_says_and_nothing_else(visitor, run, begun):
    fields = {"text": "--out=/tmp/evil", "env": "Pendulum-v1", "generations": "1", "steps": "2048"}
    assert visitor.post("/new", fields).status_code == 303
    (arguments,) = begun
    assert arguments[-2:] == ["--", "--out=/tmp/evil"]
    assert "--generations=1" in arguments
    assert any(one.startswith(f"--out={run.path.parent}/") for one in arguments)


def test_a_new_search_has_the_model_the_preset_and_the_seeds_of_the_form(visitor, begun):
    fields = {"text": "Swing up", "env": "Pendulum-v1", "model": "small", "preset": "eureka", "seeds": "2"}
    assert visitor.post("/new", fields).status_code == 303
    (arguments,) = begun
    assert {"--model=small", "--preset=eureka", "--seeds=2"} <= set(arguments)


def test_a_new_search_has_the_strategy_the_behaviours_and_the_signals_of_the_form(visitor, begun):
    signal = 'reached = { provider = "subgoals", subgoals = [{ text = "up", condition = "cos_angle > 0.9" }] }'
    behaviour = "speed=mean(angular_velocity):-8:8:4\r\n\r\n height=max(cos_angle):-1:1:4 "
    fields = {"text": "Swing up", "env": "Pendulum-v1", "fitness": "max(cos_angle)", "search": "map-elites",
              "behaviour": behaviour, "signal": signal}  # fmt: skip
    assert visitor.post("/new", fields).status_code == 303
    (arguments,) = begun
    assert [one for one in arguments if one.startswith(("--search", "--behaviour", "--signal"))] == [
        "--search=map-elites",
        "--behaviour=speed=mean(angular_velocity):-8:8:4",
        "--behaviour=height=max(cos_angle):-1:1:4",
        f"--signal={signal}",
    ]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"behaviour": "speed=mean(angular_velocity)"}, "LOW:HIGH"),
        ({"signal": "reached = 3"}, "--signal"),
        ({"search": "mapelites"}, "strategy"),
    ],
)
def test_a_wrong_strategy_behaviour_or_signal_comes_back_with_the_form(visitor, begun, wrong, told):
    answer = visitor.post("/new", {"text": "Swing up", "env": "Pendulum-v1", **wrong})
    assert answer.status_code == 422
    assert told in answer.text
    assert next(iter(wrong.values())) in answer.text
    assert "<details open>" in answer.text
    assert not begun


def test_the_form_tells_the_size_and_the_time_without_starting(visitor, begun):
    fields = {"text": "Swing up", "env": "Pendulum-v1", "steps": "2048", "generations": "2", "then": "estimate"}
    page = visitor.post("/new", fields).text
    assert not begun
    assert "symbolic: 4 programs × 2 generations" in page
    assert "of 2,048 environment steps" in page
    assert "steps/s per training" in page
    assert 'value="Pendulum-v1"' in page
    assert '<option value="hopper">' in page


def test_the_runs_are_sorted_as_asked(visitor, run):
    make_run(run.path.parent / "second", "A task")
    assert [visitor.get(f"/?sort={order}").text.index("A task") < visitor.get(f"/?sort={order}").text.index("Rise")
            for order in ("task",)] == [True]  # fmt: skip
    assert "<b>newest</b>" in visitor.get("/?sort=<b>").text


def test_feedback_is_undone_with_its_button(visitor, run):
    visitor.post(f"{RUN}/remark", {"text": "Slower"})
    assert 'value="1">undo</button>' in visitor.get(RUN).text
    visitor.post(f"{RUN}/undo", {"number": "1"})
    assert inputs(run) == []
    assert visitor.post(f"{RUN}/undo", {"number": "x"}).status_code == 422


def test_the_next_pair_is_rendered_ahead(visitor, run):
    save_candidate(run, make_candidate("g0c02", 3.0))
    page = visitor.get(f"{RUN}/compare?a=g0c00&b=g0c01").text
    assert "data-render-ahead" in page


@pytest.mark.parametrize("wrong", [{"env": "Nothing-v9"}, {"env": "Pendulum-v1", "steps": "-1"}, {"env": "../x.toml"}])
def test_a_new_search_that_cannot_be_is_refused_with_the_form_kept(visitor, wrong):
    answer = visitor.post("/new", {"text": "Hop & skip", **wrong})
    assert answer.status_code == 422
    assert "Hop &amp; skip" in answer.text


def test_a_command_that_fails_says_why_and_one_is_started_once():
    children = Subprocesses()
    try:
        children.start("x", ["show", "/nowhere"])
        with pytest.raises(UserError, match="already running"):
            children.start("x", ["show", "/nowhere"])
        children._processes["x"][0].wait(60)
        state = children.get_state("x")
        assert not state.running
        assert "/nowhere is not a run directory" in state.failure
    finally:
        children.close()


def test_a_stopped_search_ends_in_order_and_can_go_on(tmp_path):
    children, path = Subprocesses(), tmp_path / "run"
    options = ["--env=Pendulum-v1", "--designer=symbolic", "--population=1", "--generations=1", "--steps=5000000"]
    try:
        children.start("search run", ["design", "Swing up", *options, f"--out={path}"])
        end = time.monotonic() + 60
        while not list(path.glob("candidates/*/train-s0/progress.jsonl")) and time.monotonic() < end:
            time.sleep(0.1)
        children.stop("search run")
        assert children._processes["search run"][0].wait(30) == 130
        assert children.get_state("search run") == CommandState(False, None)
        assert run_state.load_run_state(RunRef("run", path)).status == "interrupted"
    finally:
        children.close()


def test_a_search_that_does_not_start_is_told_in_the_list(visitor):
    visitor.subprocesses.start("search nowhere", ["design", "Hop", "--env=Nothing-v9"])
    assert "A search is starting" in visitor.get("/").text
    visitor.subprocesses._processes["search nowhere"][0].wait(60)
    page = visitor.get("/").text
    assert "A search did not start" in page
    assert "Nothing-v9" in page


def test_a_port_in_use_gives_the_next_free_one():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        bound, found = bind_port(port)
        bound.close()
    assert port < found < port + 20


def test_no_free_port_is_a_line(monkeypatch):
    monkeypatch.setattr("rewardsmith.studio.server.PORT_TRIES", 1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(RunError, match="choose one with --port"):
            bind_port(taken.getsockname()[1])


def test_a_studio_of_no_folder_is_a_line(tmp_path):
    command = [sys.executable, "-m", "rewardsmith", "studio", str(tmp_path / "none")]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, env=os.environ)
    assert answer.returncode == 2
    assert answer.stderr.count("\n") == 1


def test_a_candidate_shows_its_metrics(visitor, run):
    assert "<h2>Metrics</h2>" not in visitor.get(f"{RUN}/c/g0c00").text
    figure = records.Metric("depth", "-min(height)", "how <low> it sank")
    records.write(replace(run.task, metrics=(figure,)), run.path / "task.json")
    one = make_candidate("g0c00", 1.0)
    (known,) = one.evaluations
    evaluations = tuple(replace(known, metrics={"depth": value}) for value in (0.25, 0.75))
    save_candidate(run, replace(one, evaluations=evaluations))
    page = visitor.get(f"{RUN}/c/g0c00").text
    shown = page.partition("<h2>Metrics</h2>")[2].partition("</section>")[0]
    assert "0.5 [-2.68, 3.68]" in shown
    assert "how &lt;low&gt; it sank" in shown
    assert ">–</td>" in visitor.get(f"{RUN}/c/g0c01").text.partition("<h2>Metrics</h2>")[2]


def test_a_finished_run_shows_its_reported_metrics(visitor, run):
    finish(run)
    result = run.read_result()
    depth = records.ReportedMetric("depth", "-min(height)", "how low", Interval(0.5, 0.25, 0.75, (0.4, 0.6)))
    run.save_result(replace(result, metrics=(depth,)))
    page = visitor.get(RUN).text
    assert "<small> [0.25, 0.75]</small>" in page
    assert ">depth<" in page


def test_the_retrained_fitness_leads_and_the_selection_score_is_called_biased(visitor, run):
    assert "selection score 3 (g1c00, biased upwards)" in visitor.get("/").text
    finish(run)
    card = visitor.get("/").text
    assert '<span class="figure">1<small> [0.5, 1.5]</small></span>' in card
    assert "fitness, retrained on 2 fresh seeds" in card
    page = visitor.get(RUN).text
    assert page.index("retrained on 2 fresh seeds") < page.index("(biased upwards)")


@pytest.mark.parametrize(
    ("designer", "rank", "words"),
    [
        ("symbolic", "metric", "Comparisons have no effect in this run"),
        ("llm", "metric", "Comparisons go to the designer; the metric ranks the programs."),
        ("symbolic", "people", "Comparisons rank the programs of this run."),
    ],
)
def test_a_run_says_what_comparisons_change(visitor, run, designer, rank, words):
    config = (run.path / "config.toml").read_text().replace('designer = "symbolic"', f'designer = "{designer}"')
    (run.path / "config.toml").write_text(config)
    if rank == "people":
        feedback.set_ranking(run, "people")
    for path in (RUN, f"{RUN}/compare"):
        assert words in visitor.get(path).text
