import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from rewardsmith.contract.records import Candidate, CurvePoint, EnvSpec, Proposal, Reflection, Training
from rewardsmith.report.estimates import CandidateEstimates
from rewardsmith.report.live import JsonLines, LiveTable, PlainLines
from rewardsmith.report.progress import ProgressEstimate
from rewardsmith.report.tables import print_candidates
from rewardsmith.spec.config import Config

ESCAPE = "\x1b]0;owned\x07\x1b[2J"


class FakeTask:
    text = heading = f"Hop {ESCAPE}"
    env = EnvSpec("Hopper-v5")
    fitness = "x_position[-1]"


class FakeRun:
    path = "runs/x"
    task = FakeTask()
    config = Config()
    fitness_name = task.fitness


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
        reflection=Reflection(""),
        cause=cause,
    )


def drive(watch) -> None:
    watch.on_search_start(2, 100)
    watch.on_stage("g0c00", "train")
    watch.on_curve_point("g0c00/trainer/s0", CurvePoint(50, 3, 1.0, 20.0, 0.25))
    watch.on_training_end("g0c00/trainer/s0")
    watch.on_candidate_end(candidate(cause=f"ValueError: {ESCAPE}"))
    watch.on_notice(f"careful {ESCAPE}")


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
        print_candidates([candidate(f"boom {ESCAPE}")], CandidateEstimates(), console)
    assert "g0c00" in stream.getvalue()
    assert "\x1b]0;" not in stream.getvalue()
    assert "\x1b[2J" not in stream.getvalue()
    assert "\x07" not in stream.getvalue()


def test_the_pace_does_not_count_what_a_resumed_run_found_finished():
    pace = ProgressEstimate()
    pace.set_plan(4, 100)
    pace.record_end("a/trainer/s0")
    assert pace.seconds_left() is None
    pace.began -= 10
    pace.record_point("b/trainer/s0", CurvePoint(50, 1, None, None, None))
    assert pace.seconds_left() == pytest.approx(50, rel=0.05)
    assert pace.fraction_done() == pytest.approx(150 / 400)


def test_what_runs_comes_first_and_the_table_is_no_higher_than_the_terminal():
    table = LiveTable(FakeRun())
    table.on_search_start(60, 100)
    for number in range(40):
        table.on_candidate_end(replace(candidate(), id=f"g0c{number:02d}", fitness=0.5))
    table.on_stage("g1c00", "train")
    table.on_curve_point("g1c00/trainer/s0", CurvePoint(50, 3, 1.0, 20.0, 0.25))
    stream = io.StringIO()
    Console(file=stream, width=80, height=24, force_terminal=True, color_system=None).print(table)
    lines = stream.getvalue().splitlines()
    assert len(lines) <= 24
    rows = [line.split()[0] for line in lines if line.startswith("g")]
    assert rows[:2] == ["g1c00", "g0c39"]
    assert lines[-1].startswith("…")


def test_a_finished_training_keeps_no_bar_and_the_end_leaves_no_running_row():
    table = LiveTable(FakeRun())
    table.on_search_start(2, 100)
    for owner in ("baseline", "final/g0c00"):
        table.on_stage(owner, "train")
        table.on_curve_point(f"{owner}/trainer/s0", CurvePoint(100, 3, 1.0, 20.0, 0.25))
        assert "━" in str(table._build_cells(owner, table.rows[owner])[2])
        table.on_training_end(f"{owner}/trainer/s0")
        table.on_stage(owner, "evaluate")
        assert table._build_cells(owner, table.rows[owner])[1:3] == ("evaluate", "")
    table.on_search_end(None)
    assert [table._build_cells(owner, row)[:2] for owner, row in table.rows.items()] == [
        ("baseline", "done"),
        ("final g0c00", "done"),
    ]


def test_final_trainings_are_counted_in_a_pipe():
    stream = io.StringIO()
    lines = PlainLines(stream, FakeRun())
    for seed in range(2):
        lines.on_training_end(f"baseline/trainer/s{seed}")
    assert "baseline: training finished (2 of 5)" in stream.getvalue()
