"""Remarks shown next to a candidate."""

from dataclasses import replace

from rewardsmith.contract.records import Candidate, Finding, Proposal, Reflection, Verdict
from rewardsmith.report.text import collect_remarks

DONE = Candidate("g0c00", 0, 0, Proposal("", "test"), "ok", fitness=1.0)


def test_alarms_and_what_the_review_left_open_are_told():
    noted = Verdict(True, (Finding("review", "its author stands by it", "warning"), Finding("slow", "slow", "warning")))
    one = replace(DONE, verdict=noted, reflection=Reflection("", ("the return rises",)))
    assert collect_remarks(one) == ["alarm: the return rises", "its author stands by it"]
    assert collect_remarks(DONE) == []
