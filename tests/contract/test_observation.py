"""The observation that a setting or a program names: read from the text, checked, and never privileged."""

from __future__ import annotations

import pytest

from rewardsmith.contract.errors import ConfigError, ProgramError, TaskError
from rewardsmith.contract.observation import check_observation, choose_observation
from rewardsmith.contract.records import Candidate, Proposal, Signal, TermStats, TrainSettings, TrialScoring, Verdict
from rewardsmith.contract.reward_program import MAX_OBSERVED_SIGNALS, parse_program
from rewardsmith.search.steps.critic.static_checks import check_source
from rewardsmith.search.steps.designer.answer_parser import parse_answer
from rewardsmith.search.steps.evolution.ensemble import join_programs
from rewardsmith.spec.config import dump_config, resolve_config

SIGNALS = (Signal("height", (), "m", "", "obs[0]"), Signal("tilt", (2,), "1", "", "obs[1:3]"))
PRIVILEGED = (Signal("success", (), "1", "", "info[success]"),)
BODY = 'def reward(after):\n    return {"up": after.height}\n'


def program(observation: str) -> str:
    return f"OBSERVATION = {observation}\n\n{BODY}"


def test_a_program_declares_its_observation():
    settings = TrainSettings(observation=("tilt",))
    declared = parse_program(program('["height", "tilt", "height"]'))
    assert declared.observation == ("height", "tilt")
    assert choose_observation(declared, settings) == ("height", "tilt")
    assert choose_observation(parse_program(BODY), settings) == choose_observation(None, settings) == ("tilt",)
    assert choose_observation(parse_program(BODY), TrainSettings()) == ()


@pytest.mark.parametrize("text", ["[]", "()", "None", '"height"', "[1]", "['height'] + ['tilt']", "list(('height',))"])
def test_what_is_no_literal_list_of_names_is_refused_unrun(text):
    with pytest.raises(ProgramError, match="OBSERVATION must be a literal list of at least one signal's name"):
        parse_program(program(text))


def test_a_list_has_a_greatest_length():
    names = [f"s{number}" for number in range(MAX_OBSERVED_SIGNALS + 1)]
    with pytest.raises(ProgramError, match=f"OBSERVATION has {len(names)} names; at most {MAX_OBSERVED_SIGNALS}"):
        parse_program(program(repr(names)))


@pytest.mark.parametrize(
    ("name", "said"), [("heigth", "did you mean 'height'?"), ("success", "there are height, tilt")]
)
def test_the_critic_finds_what_cannot_be_observed(name, said):
    _, findings = check_source(program(f"['tilt', {name!r}]"), SIGNALS)
    assert [(finding.code, finding.line) for finding in findings] == [("observation", 1)]
    assert f"there is no signal {name!r}" in findings[0].message and said in findings[0].message


def test_a_declared_observation_is_no_other_finding():
    assert check_source(program('["height"]'), SIGNALS)[1] == []


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("heigth",), r"training.observation: there is no signal 'heigth'; did you mean 'height'\?"),
        (("success",), "training.observation: 'success' tells the reward or the success, which no policy may see"),
        (("screen",), r"training.observation: 'screen' is a picture \(64x64x3\)"),
    ],
)
def test_a_setting_that_cannot_be_observed_is_refused(names, said):
    signals = (*SIGNALS, Signal("screen", (64, 64, 3), "1", "", "obs"))
    with pytest.raises(TaskError, match=said):
        check_observation(TrainSettings(observation=names), signals, PRIVILEGED)
    check_observation(TrainSettings(observation=("tilt", "height")), signals, PRIVILEGED)


def test_the_setting_reads_back_and_an_empty_list_is_refused():
    config = resolve_config({"training": {"observation": ["height", "tilt"]}})
    assert config.training.observation == ("height", "tilt")
    assert "observation = [" in dump_config(config) and 'observation = "environment"' in dump_config(resolve_config())
    with pytest.raises(ConfigError, match=r"training\.observation"):
        resolve_config({"training": {"observation": []}})


def test_an_observation_in_a_block_of_its_own_joins_the_program():
    answer = f'Look at the height.\n```python\nOBSERVATION = ["height"]\n```\nThe program:\n```python\n{BODY}```'
    source = parse_answer(answer).source
    assert source is not None and parse_program(source).observation == ("height",)


def member(id: str, source: str) -> Candidate:
    scoring = TrialScoring(8, 1.0, (TermStats("up", 1.0, 0.0, 1.0, -1.0, 1.0, 1.0),))
    return Candidate(id, 0, 0, Proposal(source, "test"), "ok", Verdict(True, (), scoring))


def test_an_ensemble_observes_what_its_members_name_if_all_do():
    first, second = member("g0c00", program('["height"]')), member("g0c01", program('["tilt", "height"]'))
    joined = parse_program(join_programs([first, second], "worst"))
    assert joined.observation == ("height", "tilt")
    assert parse_program(join_programs([first, member("g0c02", BODY)], "worst")).observation == ()
