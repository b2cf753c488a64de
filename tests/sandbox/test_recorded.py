"""Recorded episodes and transitions: written and read back equal, in the layout of older runs."""

import numpy as np
import pytest

from rewardsmith.contract.fitness import Rollout
from rewardsmith.contract.records import Limits, Probe, Signal
from rewardsmith.contract.reward_program import Transitions, parse_program
from rewardsmith.sandbox.recorded import EpisodeFile, TransitionFile

HEIGHT, TILT = Signal("height", (), "m", "", "qpos[0]"), Signal("tilt", (2,), "rad", "", "qpos[1:3]")
PROBE = Probe((HEIGHT, TILT), (1,), (-1.0,), (1.0,), None, (3,), 10, 8)
RISE = parse_program(
    "WEIGHTS = {'up': 2.0}\ndef reward(before, after):\n    return {'up': after.height - before.height}\n"
)


def rollout(heights: list[float], terminated: bool = False) -> Rollout:
    after = np.array(heights[1:])
    tilt = np.stack([after, -after], axis=1)
    start = {"height": np.array(heights[0]), "tilt": np.zeros(2)}
    return Rollout({"height": after, "tilt": tilt}, start, np.zeros((len(after), 1)), terminated)


EPISODES = (rollout([0.0, 1.0, 3.0]), rollout([5.0, 6.0, 6.0, 8.0], True))


@pytest.fixture
def file(tmp_path) -> EpisodeFile:
    episodes = EpisodeFile.in_folder(tmp_path)
    assert not episodes.exists()
    episodes.write(EPISODES)
    return episodes


def test_the_arrays_have_the_names_of_older_runs(file):
    with np.load(file.path, allow_pickle=False) as arrays:
        names = ("action", "height", "tilt", "start/height", "start/tilt")
        assert set(arrays) == {f"{index}/{name}" for index in (0, 1) for name in names}
    assert file.path.name == "episodes.npz"


def test_a_rollout_is_read_as_it_was_written(file):
    for index, episode in enumerate(EPISODES):
        read = file.read_rollout(index, episode.terminated)
        assert read.terminated == episode.terminated
        np.testing.assert_array_equal(read.actions, episode.actions)
        for name in ("height", "tilt"):
            np.testing.assert_array_equal(read.signals[name], episode.signals[name])
            np.testing.assert_array_equal(read.start[name], episode.start[name])


def test_columns_begin_with_the_start_and_leave_out_what_was_not_recorded(file):
    later, earlier = file.read_columns([1, 0], ["tilt", "speed", "height"])
    columns = later.columns
    assert len(earlier.columns["height"]) == 3
    assert list(columns) == ["tilt[0]", "tilt[1]", "height"]
    assert columns["height"].tolist() == [5.0, 6.0, 6.0, 8.0]
    assert columns["tilt[1]"].tolist() == [0.0, -6.0, -6.0, -8.0]
    assert list(file.read_columns([1], ["tilt"], max_components=1)[0].columns) == ["tilt[0]"]


def test_actions_that_were_not_recorded_are_none(tmp_path, file):
    assert file.read_columns([0], [])[0].actions.shape == (2, 1)
    np.savez(tmp_path / "episodes.npz", **{"0/height": np.zeros(2)})
    assert file.read_columns([0], [])[0].actions is None


def test_episodes_are_scored_in_the_order_that_was_asked_for(file):
    longer, shorter = file.score_episodes(RISE, (1, 0), (True, False), PROBE, Limits())
    assert longer.total.tolist() == [2.0, 0.0, 4.0]
    assert shorter.terms["up"].tolist() == [1.0, 2.0]


FALL = "def reward({arguments}):\n    return {{'fall': -1.0 * terminated}}\n"


@pytest.mark.parametrize(
    "source",
    [FALL.format(arguments="terminated"), "MEMORY = {'m': 0.0}\n" + FALL.format(arguments="terminated, memory")],
)
def test_an_episode_pays_for_its_end_at_its_last_step_where_its_record_says_terminated(file, source):
    stopped_by_time, fallen = file.score_episodes(parse_program(source), (0, 1), (False, True), PROBE, Limits())
    assert stopped_by_time.total.tolist() == [0.0, 0.0]
    assert fallen.total.tolist() == [0.0, 0.0, -1.0]


def test_only_a_program_that_takes_the_ends_is_sent_them(tmp_path, file):
    recording = TransitionFile.in_folder(tmp_path)
    heights = {"height": np.arange(4.0)}
    written = Transitions(np.zeros((4, 1)), before=heights, after=heights, start=heights)
    recording.write(written, step=np.array([0.0, 1, 0, 1]), terminated=np.array([0.0, 1, 0, 0]))
    ends = recording.read(parse_program(FALL.format(arguments="terminated"))).transitions.terminated
    assert (ends.tolist(), ends.dtype) == ([False, True, False, False], np.bool_)
    assert recording.read(RISE).transitions.terminated is None
    assert file.read_transitions(RISE, (0, 1), (False, True)).transitions.terminated is None


def test_a_program_that_fails_or_reads_what_was_not_recorded_gives_no_scores(file):
    missing = parse_program("def reward(after):\n    return {'a': after.speed}\n")
    failing = parse_program("def reward(after):\n    return {'a': after.height / 0 * missing}\n")
    assert file.score_episodes(missing, (0, 1), (False, True), PROBE, Limits()) is None
    assert file.score_episodes(failing, (0, 1), (False, True), PROBE, Limits()) is None


def test_transitions_are_read_as_far_as_a_program_needs_them(tmp_path):
    heights = {"height": np.arange(6.0)}
    written = Transitions(np.zeros((6, 1)), before=heights, after={"height": np.arange(6.0) + 1}, start=heights)
    recording = TransitionFile.in_folder(tmp_path)
    recording.write(written, step=np.array([0.0, 1, 0, 1, 2, 3]), terminated=np.array([0.0, 1, 0, 0, 0, 0]))
    read = recording.read(RISE)
    assert [episode.tolist() for episode in read.episodes] == [[2, 3, 4, 5], [0, 1]]
    assert (dict(read.transitions.start), list(read.transitions.after)) == ({}, ["height"])
    assert recording.read_terminated().tolist() == [0.0, 1, 0, 0, 0, 0]
    assert recording.read_signals("after", ["height"])["height"].tolist() == [1.0, 2, 3, 4, 5, 6]


def test_an_older_recording_counts_an_episode_that_another_follows_as_ended(tmp_path):
    recording = TransitionFile.in_folder(tmp_path)
    recording.write(Transitions(np.zeros((4, 1))), step=np.array([0.0, 1, 0, 1]))
    assert recording.read_terminated().tolist() == [0.0, 1, 0, 0]
