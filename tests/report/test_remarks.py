"""What is said of a candidate beside its figure, and of what the gates saved."""

from dataclasses import replace

from rewardsmith.contract.records import Candidate, Feedback, Finding, Gate, Proposal, Verdict
from rewardsmith.report.text import remarks, saved

DONE = Candidate("g0c00", 0, 0, Proposal("", "test"), "ok", fitness=1.0)


def test_alarms_and_what_the_review_left_open_are_told():
    noted = Verdict(True, (Finding("review", "its author stands by it", "warning"), Finding("slow", "slow", "warning")))
    one = replace(DONE, verdict=noted, feedback=Feedback("", ("the return rises",)))
    assert remarks(one) == ["alarm: the return rises", "its author stands by it"]
    assert remarks(DONE) == []


def test_what_the_gates_saved_is_added_up_by_gate():
    held = (Gate("duplicate", 1000, "g0c00"), Gate("duplicate", 1000, "g0c00"), Gate("order", 500))
    mended = replace(DONE, gates=held[:2])
    untrained = replace(DONE, status="duplicate", gates=held[:1])
    assert saved([DONE, mended, untrained, replace(untrained, gates=held[2:])]) == (
        "the gates held 4 programs back (3 duplicates, 1 order), 1,500 environment steps of training"
    )
    assert saved([DONE]) is None
