"""The reader of episodes: the episodes that it sees, the form of its claims, and the claims that are kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fakes.paths import make_folder
from fakes.scripted_model import Script

from rewardsmith.contract.errors import BudgetExhausted, ModelRefused
from rewardsmith.contract.fitness import Rollout
from rewardsmith.contract.records import (
    Candidate,
    EnvSpec,
    Episode,
    EpisodeReading,
    Evaluation,
    Probe,
    Proposal,
    Signal,
)
from rewardsmith.sandbox.recorded import EpisodeFile
from rewardsmith.search.steps.analyzer import write_reflection
from rewardsmith.search.steps.analyzer.claim_checks import Claim, refute_claim
from rewardsmith.search.steps.analyzer.episode_selection import (
    DECEPTIVE,
    FAILURE,
    NEAR,
    TYPICAL,
    ScoredEpisode,
    select_informative,
)
from rewardsmith.search.steps.analyzer.llm_reader import EpisodeReader, ReaderAnswer, keep_supported_causes
from rewardsmith.search.storage import Run
from rewardsmith.spec.config import resolve_config
from rewardsmith.spec.task_cards import Task

SOURCE = """WEIGHTS = {"speed": 1.0, "upright": 0.5}

def reward(after):
    return {"speed": after.speed, "upright": np.exp(-after.tilt[:, 0]**2)}
"""
SIGNALS = (
    Signal("speed", (), "m/s", "Forward speed.", "obs[0]"),
    Signal("tilt", (2,), "rad", "Tilt of the torso.", "obs[1:3]"),
    Signal("height", (), "m", "Height of the torso.", "obs[3]"),
)
PROBE = Probe(SIGNALS, (1,), (-1.0,), (1.0,), None, (4,), 100, 64)
TASK = Task("runner", "Run", EnvSpec("Runner-v0", signals=SIGNALS), "A runner.", "One number.", "sum(speed)")


def said(cause: str, *claims: dict[str, object]) -> dict[str, object]:
    return {"cause": cause, "claims": list(claims)}


def claim(**changes: object) -> dict[str, object]:
    first = {"episode": "E1", "signal": "tilt[0]", "steps": [10, 20], "comparison": "rises_by", "value": 0.3}
    return first | changes


FALLS = said("It tips over, since upright is weighed too little.", claim(), claim(comparison="all_below", value=-5.0))
INVENTED = said("It turns around.", claim(steps=[300, 400]), claim(episode="E9"), claim(signal="heading"))
ANSWER = json.dumps({"causes": [FALLS, INVENTED], "suggestions": ["Raise the weight of upright."]})


@pytest.fixture
def trained(tmp_path: Path) -> tuple[Candidate, list[Path], Run]:
    """A candidate with four recorded episodes: tipping over slowly or quickly, at different speeds."""
    run = Run.create(tmp_path / "run", TASK, resolve_config())
    rollouts: list[Rollout] = []
    episodes = []
    for index, (length, speed, fitness) in enumerate([(20, 1.0, 2.0), (40, 0.5, 9.0), (60, 2.0, 3.0), (80, 0.9, 10.0)]):
        steps = np.arange(1, length + 1) / length
        tilt = np.stack([steps**2, np.zeros(length)], axis=1)
        signals = {"speed": speed * steps, "tilt": tilt, "height": 1 - steps}
        start = {"speed": np.array(0.0), "tilt": np.zeros(2), "height": np.array(1.0)}
        rollouts.append(Rollout(signals, start, np.zeros((length, 1)), index % 2 == 0))
        episodes.append(Episode(index, fitness, length, terminated=index % 2 == 0))
    folder = make_folder(run.path, "candidates", "g0c02", "eval-s0")
    EpisodeFile.in_folder(folder).write(rollouts)
    evaluation = Evaluation("ok", tuple(episodes), 6.0, 0.1)
    found = Candidate("g0c02", 0, 2, Proposal(SOURCE, "test"), "ok", evaluations=(evaluation,), fitness=6.0)
    return found, [folder], run


def read(trained: tuple[Candidate, list[Path], Run], *answers: str | Exception) -> tuple[EpisodeReading, Script]:
    found, folders, run = trained
    model = Script(list(answers))
    return EpisodeReader(model, run, PROBE).read_episodes(found, folders), model


def test_what_the_recording_bears_out_is_kept_and_the_rest_is_counted(trained) -> None:
    reading, model = read(trained, ANSWER)
    assert (reading.claims, reading.dropped) == (5, 4)
    (cause,) = reading.causes
    assert cause.endswith("(E1, steps 10 to 20: tilt[0] rises by 0.3)")
    assert reading.suggestions == ("Raise the weight of upright.",)
    assert model.asked[0][:2] == ("analyzer", 2)


def test_where_no_claim_holds_nothing_is_handed_on(trained) -> None:
    reading, _ = read(trained, json.dumps({"causes": [INVENTED], "suggestions": ["Turn."]}))
    assert reading == EpisodeReading((), (), 3, 3)


def test_the_readers_prompts(trained, snapshot: Callable[[str, str], None]) -> None:
    _, model = read(trained, ANSWER)
    snapshot("analyzer-read", "\n".join(f"===== {message.role}\n{message.content}" for message in model.asked[0][2]))


class Drawn:
    """Stills that are made of nothing."""

    def __init__(self, home: Path) -> None:
        self.home, self.asked = home, []

    def render_frames(self, evaluation: Path, episode: Episode, steps: list[int]) -> dict[int, Path]:
        self.asked.append((evaluation.name, episode.seed, steps))
        files = {step: self.home / f"{episode.seed}-{step}.png" for step in steps}
        for file in files.values():
            file.write_bytes(file.name.encode())
        return files


@pytest.mark.parametrize("frames", [0, 3])
def test_a_model_that_sees_images_gets_frames_of_the_episodes_at_steps_of_their_tables(trained, frames) -> None:
    found, folders, run = trained
    run = Run.open(run.path, {"analyzer": {"frames": frames, "model_reads": True}})
    model, stills = Script([ANSWER]), Drawn(run.path)
    EpisodeReader(model, run, PROBE, stills).read_episodes(found, folders)
    message = model.asked[0][2][-1]
    table = message.content.partition("E1 (")[2].partition("E2 (")[0].splitlines()
    rows = [int(row.partition(" | ")[0]) for row in table[2:] if row.strip()]
    assert len(message.pictures) == frames * len(stills.asked)
    for _, _, steps in stills.asked[:1]:
        assert len(steps) == 3
        assert set(steps) <= set(rows)
        assert [one.label for one in message.pictures[:3]] == [f"E1, step {step}:" for step in steps]


def test_signals_that_the_program_does_not_read_are_not_told(trained) -> None:
    _, model = read(trained, ANSWER)
    assert "height" not in model.asked[0][2][1].content


@pytest.mark.parametrize(
    "answers",
    [("none", "none"), (ModelRefused("declined"),), (BudgetExhausted("9 of 9 calls are spent"),)],
    ids=["no JSON", "declined", "budget"],
)
def test_without_an_account_there_is_a_reason_and_the_figures_stand_alone(trained, answers) -> None:
    reading, _ = read(trained, *answers)
    assert reading.problem
    found, folders, _ = trained
    assert write_reflection(found, folders, reading).text == write_reflection(found, folders).text


def test_an_account_of_the_wrong_form_is_asked_for_again(trained) -> None:
    wrong = json.dumps({"causes": [said("It falls.", claim(steps=[1]))]})
    _, model = read(trained, wrong, ANSWER)
    assert "causes.0.claims.0.steps" in model.asked[1][2][-1].content


def test_without_recorded_episodes_nobody_is_asked(trained) -> None:
    found, _, run = trained
    model = Script([])
    reading = EpisodeReader(model, run, PROBE).read_episodes(found, [run.path / "nowhere"])
    assert "no episode was recorded" in reading.problem
    assert model.asked == []


def test_the_reading_reaches_the_designer(trained, snapshot: Callable[[str, str], None]) -> None:
    found, folders, _ = trained
    reading, _ = read(trained, ANSWER)
    snapshot("analyzer-reading", write_reflection(found, folders, reading).text)


# ---------------------------------------------------------------- claims


ONE = ScoredEpisode(
    Episode(0, 1.0, 4, terminated=True),
    {"v": np.array([0.0, 1.0, 2.0, 3.0, 1.0])},
    {"reward": np.array([10.0, 20.0, 30.0, 40.0])},
)


@pytest.mark.parametrize(
    ("changes", "holds"),
    [
        ({"comparison": "all_above", "value": 1.0}, True),
        ({"comparison": "all_above", "value": 1.009}, True),
        ({"comparison": "all_above", "value": 1.1}, False),
        ({"comparison": "some_above", "value": 3.0}, True),
        ({"comparison": "some_below", "value": 0.5}, False),
        ({"comparison": "all_below", "value": 3.0}, True),
        ({"comparison": "mean_above", "value": 2.0}, True),
        ({"comparison": "mean_below", "value": 1.9}, False),
        ({"comparison": "rises_by", "value": 2.0}, True),
        ({"comparison": "falls_by", "value": 0.1}, False),
        ({"comparison": "falls_by", "value": 2.0, "steps": [3, 4]}, True),
        ({"signal": "reward", "comparison": "all_below", "value": 30.0}, True),
        ({"signal": "reward", "comparison": "all_above", "value": 40.0, "steps": [4, 4]}, True),
    ],
)
def test_a_claim_is_held_against_every_step_that_it_names(changes: dict[str, object], holds: bool) -> None:
    first = {"episode": "E1", "signal": "v", "steps": [1, 3], "comparison": "all_above", "value": 0.0}
    assert (refute_claim(Claim(**(first | changes)), {"E1": ONE}) is None) == holds


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"steps": [2, 9]}, "has steps 0 to 4, not 2 to 9"),
        ({"steps": [3, 2]}, "not 3 to 2"),
        ({"steps": [-1, 2]}, "not -1 to 2"),
        ({"episode": "E2"}, "no episode 'E2'"),
        ({"signal": "w"}, "no signal 'w'"),
        ({"signal": "reward", "steps": [0, 0]}, "no value at step 0"),
    ],
)
def test_a_claim_about_what_does_not_exist_says_so(changes: dict[str, object], reason: str) -> None:
    first = {"episode": "E1", "signal": "v", "steps": [1, 3], "comparison": "all_above", "value": 0.0}
    assert reason in str(refute_claim(Claim(**(first | changes)), {"E1": ONE}))


def test_a_cause_without_a_claim_is_dropped() -> None:
    account = ReaderAnswer.model_validate({"causes": [{"cause": "Luck."}], "suggestions": ["Hope."]})
    assert keep_supported_causes(account, {"E1": ONE}) == EpisodeReading((), (), 0, 0)


# ---------------------------------------------------------------- which episodes and which steps


def watched(fitness: float, earned: float) -> ScoredEpisode:
    return ScoredEpisode(Episode(0, fitness, 1, False), {"v": np.zeros(2)}, {"reward": np.array([earned])})


def test_the_episodes_that_tell_the_most_are_chosen() -> None:
    worst, badly, near, best = watched(0.0, 1.0), watched(1.0, 9.0), watched(4.0, 2.0), watched(10.0, 3.0)
    assert select_informative([best, near, badly, worst]) == {FAILURE: worst, NEAR: near, DECEPTIVE: badly}


def test_of_episodes_that_are_alike_one_is_shown_and_called_no_failure() -> None:
    alike = [watched(17.4 + 0.01 * one, float(one)) for one in range(5)]
    assert select_informative(alike) == {TYPICAL: alike[2]}


def test_where_pay_and_fitness_agree_none_is_deceptive() -> None:
    assert list(select_informative([watched(float(x), float(x)) for x in range(4)])) == [FAILURE, NEAR]


def test_one_episode_is_shown_and_none_is_none() -> None:
    one = watched(1.0, 1.0)
    assert select_informative([one]) == {FAILURE: one}
    assert select_informative([]) == {}


def test_the_moments_hold_the_ends_the_extremes_and_what_came_before_a_fall() -> None:
    values = np.zeros(101)
    values[37] = 5.0
    fallen = ScoredEpisode(Episode(0, 0.0, 100, terminated=True), {"v": values}, {})
    assert {0, 37, 90, 97, 99, 100} <= set(fallen.select_steps(14))
    assert len(fallen.select_steps(4)) == 4
