import io
import json

import pytest
from rich.console import Console

from rewardsmith.contract.records import Candidate, CurvePoint, EnvSpec, Feedback, Proposal, Training
from rewardsmith.report.live import JsonLines, LiveTable, Pace, PlainLines
from rewardsmith.report.tables import print_candidates
from rewardsmith.spec.config import Config

ESCAPE = "\x1b]0;owned\x07\x1b[2J"


class FakeTask:
    text = f"Hop {ESCAPE}"
    env = EnvSpec("Hopper-v5")
    fitness = "x_position[-1]"


class FakeRun:
    path = "runs/x"
    task = FakeTask()
    config = Config()


def candidate(cause: str | None = None) -> Candidate:
    training = Training("ok", 0, 100, (CurvePoint(100, 3, 1.0, 20.0, 0.5),), 1.0, 1.0, 0.1)
    return Candidate(
        "g0c00",
        0,
        0,
        Proposal("x", f"llm:{ESCAPE}"),
        "failed" if cause else "ok",
        trainings=(training,),
        fitness=None if cause else 0.5,
        feedback=Feedback(""),
        cause=cause,
    )


def drive(watch) -> None:
    watch.started(2, 100)
    watch.stage("g0c00", "train")
    watch.curve("g0c00/trainer/s0", CurvePoint(50, 3, 1.0, 20.0, 0.25))
    watch.trained("g0c00/trainer/s0")
    watch.judged(candidate(cause=f"ValueError: {ESCAPE}"))
    watch.notice(f"careful {ESCAPE}")


def test_json_lines_are_one_object_each():
    stream = io.StringIO()
    drive(JsonLines(stream, FakeRun()))
    events = [json.loads(line) for line in stream.getvalue().splitlines()]
    kinds = [event["event"] for event in events]
    assert kinds == ["run", "started", "stage", "curve", "trained", "candidate", "notice"]
    assert events[3]["point"]["fitness"] == 0.25


@pytest.mark.parametrize("form", ["plain", "table"])
def test_no_text_from_outside_reaches_the_terminal_as_a_command(form):
    stream = io.StringIO()
    if form == "plain":
        drive(PlainLines(stream, FakeRun()))
    else:
        table = LiveTable(FakeRun())
        drive(table)
        console = Console(file=stream, force_terminal=True, color_system=None)
        console.print(table)
        print_candidates([candidate(f"boom {ESCAPE}")], None, console)
    assert "g0c00" in stream.getvalue()
    assert "\x1b]0;" not in stream.getvalue()
    assert "\x1b[2J" not in stream.getvalue()
    assert "\x07" not in stream.getvalue()


def test_the_pace_does_not_count_what_a_resumed_run_found_finished():
    pace = Pace()
    pace.plan(4, 100)
    pace.ended("a/trainer/s0")
    assert pace.left() is None
    pace.began -= 10
    pace.point("b/trainer/s0", CurvePoint(50, 1, None, None, None))
    assert pace.left() == pytest.approx(50, rel=0.05)
    assert pace.part() == pytest.approx(150 / 400)
