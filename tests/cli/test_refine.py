"""`rewardsmith refine`: input from a terminal, a pipe and options, and one generation from end to end."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fakes.played_runs import make_finished_run, write_program
from rich.console import Console

from rewardsmith.cli.refine_commands import RefineSession, print_overview
from rewardsmith.contract.errors import UserError
from rewardsmith.search import feedback
from rewardsmith.search.storage import Run

FIRST = [write_program(up=1.0, calm=0.1), write_program(up=2.0)]
SMALL = ["--population", "2", "--generations", "1", "--steps", "2048", "--set", "search.final_seeds=0"]
SMALL += ["--set", "evaluation.episodes=2", "--set", "training.n_steps=64"]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    return make_finished_run(tmp_path_factory.mktemp("talk") / "run", [FIRST])


class Spoken:
    """A conversation with prepared answers."""

    def __init__(self, run: Run, *answers: str) -> None:
        self.heard, self.answers = io.StringIO(), list(answers)
        console = Console(file=self.heard, width=200)
        self.talk = RefineSession(run, console, "Ada", lambda question: self.answers.pop(0) if self.answers else None)

    def take(self, line: str) -> str:
        assert not self.talk.handle_line(line)
        return self.heard.getvalue()


@pytest.mark.parametrize(
    ("line", "taken"),
    [
        ("slower please, it hops", "slower please, it hops (Ada)"),
        ("say go on like this", "go on like this (Ada)"),
        ("prefer g0c0 g0c1 because it is calm", "g0c00 is better than g0c01: it is calm (Ada)"),
        ("prefer g0c0:g0c1", "g0c00 is better than g0c01 (Ada)"),
        ("prefer g0c0 over g0c1, because it is calm", "g0c00 is better than g0c01: it is calm (Ada)"),
        ("equal g0c0 g0c1", "g0c00 is as good as g0c01 (Ada)"),
        ("neither g0c0/s0/1 g0c1/s0/1", "g0c00/s0/1 is as bad as g0c01/s0/1 (Ada)"),
        ("pin calm", "pinned: calm (Ada)"),
        ("ban up g0c1", "banned: up (Ada)"),
        ("free up", "neither pinned nor banned: up (Ada)"),
        ("weigh g0c0 up=2 calm=0.5", "g0c00 with the weights up 2, calm 0.5 (Ada)"),
        ("people 0.5", "people rank the programs (Ada)"),
        ("metric", "the metric ranks the programs (Ada)"),
    ],
)
def test_a_line_is_taken_and_said_back(run, line, taken):
    assert taken in Spoken(run).take(line)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("prefer the calm one", "name two candidates"),
        ("pin the foot to the ground", "to give feedback in words, begin with `say`"),
        ("weigh g0c0 up=fast", "'up=fast' is not a weight"),
        ("people are the measure", "begin with `say`"),
        ("free grace", "neither pinned nor banned"),
        ("edit g9c9", "there is no candidate"),
        ("perfer g0c0 g0c1", "did you mean `prefer`"),
        ("factors height[-1", "fitness"),
    ],
)
def test_a_line_that_cannot_be_taken_says_why_and_writes_nothing(run, line, why):
    before = (run.path / "journal.jsonl").read_bytes()
    with pytest.raises(UserError, match=why):
        Spoken(run).take(line)
    assert (run.path / "journal.jsonl").read_bytes() == before


def test_go_is_the_word_for_the_next_generation(run):
    assert Spoken(run).talk.handle_line(" go ")
    assert not Spoken(run).talk.handle_line("")


def test_a_preference_that_ranks_nothing_says_so(run):
    assert "the metric ranks the programs of this run; `people`" in Spoken(run).take("prefer g0c0 g0c1")


def test_words_to_a_designer_that_reads_none_are_answered_honestly(tmp_path):
    heard = Spoken(make_finished_run(tmp_path / "run")).take("slower please")
    assert "recorded (#1): slower please (Ada)" in heard
    assert "the symbolic designer" in heard
    assert "Words have no effect here" in heard


def editor(folder: Path, *replacements: tuple[str, str]) -> str:
    """Return an editor that makes one more of these replacements each time it is opened."""
    script, count = folder / "editor.py", folder / "count"
    script.write_text(
        "import pathlib, sys\n"
        f"count = pathlib.Path({str(count)!r})\n"
        "turn = int(count.read_text()) if count.exists() else 0\n"
        "count.write_text(str(turn + 1))\n"
        f"old, new = {replacements!r}[turn]\n"
        "file = pathlib.Path(sys.argv[1])\n"
        "file.write_text(file.read_text().replace(old, new))\n"
    )
    return f"{sys.executable} {script}"


def test_a_refused_edit_shows_the_finding_beside_its_line_and_can_be_mended(run, tmp_path, monkeypatch):
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", editor(tmp_path, ("height", "hight"), ("hight", "height + after.speed")))
    spoken = Spoken(run, "y")
    heard = spoken.take("edit g0c1")
    line, finding = heard.splitlines()[heard.splitlines().index(next(x for x in heard.splitlines() if "└" in x)) - 1 :][
        :2
    ]
    assert "5 │" in line and "after.hight" in line
    assert "did you mean 'height'?" in finding
    assert "recorded (#" in heard.splitlines()[-1]
    assert "after.height + after.speed" in feedback.load_state(run).events[-1].input.source


def test_giving_an_edit_up_writes_nothing(run, tmp_path, monkeypatch):
    monkeypatch.setenv("VISUAL", editor(tmp_path, ("height", "hight")))
    before = (run.path / "journal.jsonl").read_bytes()
    heard = Spoken(run, "n").take("edit g0c1")
    assert "nothing was recorded" in heard
    kept = Path("".join(heard.split("saved in ")[1].split()))
    assert "hight" in kept.read_text()
    kept.unlink()
    assert (run.path / "journal.jsonl").read_bytes() == before


@pytest.mark.parametrize(("command", "why"), [("/no/such/editor", "cannot be used"), ("false", "ended with code 1")])
def test_an_editor_that_does_not_work_is_named(run, monkeypatch, command, why):
    monkeypatch.setenv("VISUAL", command)
    with pytest.raises(UserError, match=why):
        Spoken(run).take("edit g0c1")


def test_the_overview_shows_figures_alarms_videos_and_what_waits(run):
    feedback.add_remark(run, "hostile \\[bold] words")
    heard = io.StringIO()
    print_overview(run, Console(file=heard, width=200))
    text = heard.getvalue()
    for part in (
        "g0c01",
        "while training",
        "`rewardsmith video",
        "for the next generation",
        "hostile \\[bold] words",
        "Elo",
    ):
        assert part in text


def refine(run: Path, *options: str, lines: str = "", code: int = 0) -> str:
    command = [sys.executable, "-m", "rewardsmith", "refine", str(run), *options]
    answer = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=200, env=dict(os.environ))
    assert answer.returncode == code, answer.stdout + answer.stderr
    return answer.stdout + answer.stderr


def test_a_pipe_is_a_conversation_too(tmp_path):
    run = make_finished_run(tmp_path / "run", [FIRST])
    text = refine(run.path, lines="slower\nprefer g0c0 g9c9\nprefer g0c0 g0c1\n")
    assert "recorded (#1): slower" in text
    assert "there is no candidate 'g9c9'" in text
    assert "feedback saved; `rewardsmith refine" in text
    assert [one.input.kind for one in feedback.load_state(run).events] == ["remark", "preference"]


def test_options_are_taken_without_a_terminal(tmp_path):
    run = make_finished_run(tmp_path / "run", [FIRST])
    text = refine(
        run.path, "--feedback", "slower", "--feedback", "calmer", "--prefer", "g0c0:g0c1 because calm", "--by", "Ada"
    )
    assert "recorded (#3): g0c00 is better than g0c01: calm (Ada)" in text
    assert refine(run.path, "--pin", "grace", code=2).startswith("rewardsmith: no program has a term 'grace'")
    assert refine(tmp_path, "--yes", code=2).strip().endswith("`rewardsmith show` lists the runs")


@pytest.mark.slow
def test_a_real_generation_carries_the_pin_and_the_users_weights(tmp_path):
    command = [sys.executable, "-m", "rewardsmith", "design", "Swing up", "--env", "Pendulum-v1", *SMALL]
    made = subprocess.run([*command, "--out", str(tmp_path / "run")], capture_output=True, text=True, timeout=200)
    assert made.returncode == 0, made.stderr
    run = Run.open(tmp_path / "run")
    term, *_ = feedback.read_terms(run.read_result().best)
    id = run.read_result().best.id
    text = refine(run.path, "--pin", term, "--weigh", f"{id} {term}=3", "--yes", "--json")
    result = json.loads([line for line in text.splitlines() if line.startswith("{")][-1])
    new = [one for one in run.read_candidates() if one.generation == 1]
    assert [one.id for one in new] == ["g1c00", "g1c01", "g1c02"]
    assert result["event"] == "result"
    assert all(term in feedback.read_terms(one) for one in new if one.status == "ok")
    assert (new[2].proposal.author, new[2].proposal.parents) == ("user", (id,))
