"""Every case of the contract on every backend, with no static check before it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from fakes.sandbox_backends import BACKENDS, Open, transitions
from fakes.sandbox_calls import CASES as AGAINST_THE_SEAL
from fakes.sandbox_calls import SWEEP
from fakes.sandbox_case import Case, Contained, Refused
from fakes.sandbox_programs import CASES as IN_THE_LANGUAGE

from rewardsmith.contract.errors import RewardFailed

pytestmark = pytest.mark.filterwarnings("ignore::SyntaxWarning")


@pytest.mark.parametrize("sandbox", BACKENDS, indirect=True)
@pytest.mark.parametrize("case", (*AGAINST_THE_SEAL, *IN_THE_LANGUAGE), ids=lambda case: case.name)
def test_case(sandbox: Open, case: Case, canary: Path) -> None:
    verify(sandbox, case)
    assert canary.read_text(encoding="utf-8") == "untouched"


@pytest.mark.parametrize("sandbox", BACKENDS[:2], indirect=True)
def test_every_system_call_that_is_not_on_the_list_ends_the_process(sandbox: Open) -> None:
    assert len(SWEEP) > 250
    for case in SWEEP:
        verify(sandbox, case)


def verify(sandbox: Open, case: Case) -> None:
    """Run the case's text and compare with its verdict."""
    if case.untested:
        pytest.skip(case.untested)
    with sandbox(case.text, call_timeout_s=case.timeout_s, memory_mib=256) as process:
        try:
            scores = process.score(transitions())
        except RewardFailed as failure:
            check_failure(case, failure)
        else:
            assert not isinstance(case.verdict, Refused), f"{case.name} passed"
            assert np.isfinite(scores.total).all()
            assert all(np.isfinite(term).all() for term in scores.terms.values())


def check_failure(case: Case, failure: RewardFailed) -> None:
    """Compare how a program failed with its verdict."""
    if isinstance(case.verdict, Contained):
        return
    assert isinstance(case.verdict, Refused), f"{case.name} was refused: {failure}"
    assert failure.code == case.verdict.code, f"{case.name}: {failure.code}: {failure}"
    assert re.search(case.verdict.says, str(failure)), f"{case.name}: {failure}"
