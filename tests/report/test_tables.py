"""Tables on a terminal of 80 columns: the important columns stay readable, the least important are left out."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console

from rewardsmith.contract.records import Candidate, CurvePoint, Proposal, Training
from rewardsmith.report.estimates import build_estimates
from rewardsmith.report.result_lines import describe_updates
from rewardsmith.report.tables import TableColumn, print_candidates, print_table

CURVE = tuple(CurvePoint(at * 100, 3, 1.0, 900.0, float(at)) for at in range(12))
CAUSE = "ValueError: operands could not be broadcast together with shapes (64,) and (64, 3), in line 14"
DONE = Candidate(
    *("g1c00", 1, 0, Proposal("", "llm:a-model-with-a-long-name", parents=("g0c00", "g0c01"))),
    *("ok", None, (Training("ok", 0, 100, CURVE, 1.0, 1.0, 0.1),)),
    fitness=4.857,
)


def printed(width: int, terminal: bool = True) -> list[str]:
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=terminal, color_system=None)
    candidates = [DONE, replace(DONE, id="g1c01", status="failed", fitness=None, cause=CAUSE)]
    print_candidates(candidates, build_estimates(candidates, best="g1c00"), console)
    return stream.getvalue().splitlines()


def test_at_80_columns_candidates_keep_their_figures_curve_and_cause():
    lines = printed(80)
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["candidate", "status", "fitness", "while", "training", "cause"]
    assert lines[1].split() == ["★", "g1c00", "ok", "4.857", "▁▂▂▃▄▄▅▅▆▇▇█"]
    told = " ".join(" ".join(line.split()[4:] if at == 0 else line.split()) for at, line in enumerate(lines[2:]))
    assert told == CAUSE


def test_where_there_is_room_nothing_is_left_out():
    for line in (printed(200)[0], printed(80, terminal=False)[0]):
        assert {"length", "parents", "author"} <= set(line.split())


def test_in_a_pipe_a_row_is_a_line():
    assert [line for line in printed(80, terminal=False) if CAUSE in line]
    assert len(printed(80, terminal=False)) == 3


def test_a_text_is_cut_with_an_ellipsis_on_a_terminal_alone():
    columns, rows = (
        (TableColumn("run"), TableColumn("env", drop=1), TableColumn("task", cut=True)),
        [("runs/a", "e" * 30, "hop " * 30)],
    )
    for terminal in (True, False):
        stream = io.StringIO()
        print_table(columns, rows, Console(file=stream, width=60, force_terminal=terminal, color_system=None))
        row = stream.getvalue().splitlines()[1].rstrip()
        assert row.startswith("runs/a")
        assert ("eee" in row, row.endswith("…")) == ((False, True) if terminal else (True, False))


def test_the_size_of_ppo_s_updates_is_described_where_it_was_recorded():
    assert describe_updates(DONE) is None
    curve = (
        replace(CURVE[0], approx_kl=0.02, clip_fraction=0.25),
        replace(CURVE[1], approx_kl=0.01, clip_fraction=0.1),
    )
    recorded = replace(DONE, trainings=(replace(DONE.trainings[0], curve=curve),))
    assert describe_updates(recorded) == (
        "PPO updates at the end of training: approx_kl 0.01 (at most 0.02), clip_fraction 0.1 (at most 0.25)"
    )
