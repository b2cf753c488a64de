from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rewardsmith.contract.fitness import Rollout
from rewardsmith.contract.records import (
    Candidate,
    CurvePoint,
    Episode,
    Evaluation,
    Finding,
    Metric,
    Probe,
    Proposal,
    TermStats,
    Training,
    Verdict,
)
from rewardsmith.sandbox.recorded import EpisodeFile
from rewardsmith.search.steps.analyzer import ReflectionContext, write_reflection
from rewardsmith.search.steps.analyzer.alarms import find_alarms, relative_trend, term_shares
from rewardsmith.search.steps.analyzer.episode_outcome import TermUse, find_two_kinds
from rewardsmith.search.steps.analyzer.term_curves import POINTS, TermCurve, read_curves
from rewardsmith.search.steps.analyzer.trajectory_tables import merge_alike, split_steps

SOURCE = """WEIGHTS = {"speed": 2.0, "upright": 0.5}

def reward(before, after):
    return {"speed": after.speed, "upright": np.exp(-after.tilt[:, 0]**2), "gain": after.height - before.height}
"""
WEIGHTS = {"speed": 2.0, "upright": 0.5, "gain": 1.0}


def point(at: int, reward: float | None, fitness: float | None, **terms: float) -> CurvePoint:
    return CurvePoint(at, 3, reward, 100.0 + at / 1000, fitness, terms)


def training(points: Sequence[CurvePoint], **changes: object) -> Training:
    values: dict[str, object] = {"status": "ok", "seed": 0, "env_steps": 5000, "wall_s": 12.345, "cpu_s": 1.0}
    return Training(**(values | {"curve": tuple(points), "reward_s": 0.1} | changes))  # type: ignore[arg-type]


LEARNING = training(
    [
        point(
            1000 * step,
            float(step * 50),
            step * 0.5,
            speed=0.1234 * step,
            upright=0.9 - 0.05 * step,
            gain=0.01 if step % 2 else 0.02,
        )
        for step in range(1, 6)
    ]
)


def evaluation(fitness: Sequence[float]) -> Evaluation:
    episodes = tuple(
        Episode(seed, value, length=40 + seed, terminated=seed % 2 == 0) for seed, value in enumerate(fitness)
    )
    return Evaluation("ok", episodes, float(np.mean(fitness)), wall_s=3.21)


def record(folder: Path, evaluation: Evaluation, hidden: bool = True) -> None:
    """Write episodes in which every signal is a plain function of the step."""
    rollouts: list[Rollout] = []
    for episode in evaluation.episodes:
        steps = np.arange(1, episode.length + 1, dtype=float)
        signals = {"speed": steps / 10, "tilt": np.stack([np.sin(steps), np.cos(steps), steps, -steps], axis=1)}
        start = {"speed": np.array(0.0), "tilt": np.zeros(4)}
        if hidden:
            signals["success"], start["success"] = steps > 3, np.array(False)
        rollouts.append(Rollout(signals, start, np.full((episode.length, 2), 0.5), episode.terminated))
    folder.mkdir()
    EpisodeFile.in_folder(folder).write(rollouts)


def candidate(*trainings: Training, **changes: object) -> Candidate:
    values: dict[str, object] = {"id": "g0c00", "generation": 0, "slot": 0, "status": "ok", "trainings": trainings}
    return Candidate(**(values | {"proposal": Proposal(SOURCE, "llm:small")} | changes))  # type: ignore[arg-type]


@pytest.fixture
def trained(tmp_path: Path) -> tuple[Candidate, list[Path]]:
    """A candidate with one training and five recorded episodes."""
    found = evaluation([3.0, 1.0, 5.0, 4.0, 2.0])
    record(tmp_path / "eval", found)
    return candidate(LEARNING, evaluations=(found,), fitness=3.0), [tmp_path / "eval"]


def test_the_feedback_on_a_trained_program(
    trained: tuple[Candidate, list[Path]], snapshot: Callable[[str, str], None]
) -> None:
    snapshot("analyzer-feedback", write_reflection(*trained).text)


def test_the_feedback_on_a_program_that_failed(snapshot: Callable[[str, str], None]) -> None:
    failed = training(LEARNING.curve[:2], status="failed", cause="term 'gain' is not finite")
    verdict = Verdict(True, (Finding("constant-term", "the term 'gain' hardly changes", "warning"),))
    found = candidate(failed, status="failed", cause="term 'gain' is not finite after 31.2 s", verdict=verdict)
    snapshot("analyzer-failure", write_reflection(found, []).text)


def test_a_refused_program_is_told_with_its_findings() -> None:
    verdict = Verdict(False, (Finding("unknown-signal", "there is no signal 'sped'", line=3),))
    found = candidate(status="invalid", cause="there is no signal 'sped'", verdict=verdict)
    feedback = write_reflection(found, [])
    assert feedback.text.startswith("This program was refused by the checks before any training: there is no signal")
    assert feedback.alarms == ()


def test_measured_times_are_left_out_so_that_equal_trainings_read_equally(
    trained: tuple[Candidate, list[Path]],
) -> None:
    found, folders = trained
    slower = replace(found, trainings=(replace(LEARNING, wall_s=99.9, cpu_s=88.8, reward_s=77.7),))
    assert write_reflection(slower, folders) == write_reflection(found, folders)


def test_the_size_of_ppo_s_updates_is_left_out(trained: tuple[Candidate, list[Path]]) -> None:
    found, folders = trained
    curve = tuple(replace(point, approx_kl=0.0123, clip_fraction=0.345) for point in LEARNING.curve)
    logged = replace(found, trainings=(replace(LEARNING, curve=curve),))
    assert write_reflection(logged, folders) == write_reflection(found, folders)


def test_signals_that_the_program_does_not_read_are_not_shown(trained: tuple[Candidate, list[Path]]) -> None:
    assert "success" not in write_reflection(*trained).text


def test_episodes_that_were_not_recorded_are_passed_over(trained: tuple[Candidate, list[Path]], tmp_path: Path) -> None:
    found, _ = trained
    text = write_reflection(found, [tmp_path / "nowhere"]).text
    assert "Fitness 3" in text
    assert "best episode" not in text


def test_the_best_and_the_worst_episode_come_from_all_trainings(tmp_path: Path) -> None:
    first, second = evaluation([1.0, 2.0]), evaluation([-7.0, 9.0])
    record(tmp_path / "one", first)
    record(tmp_path / "two", second)
    found = candidate(LEARNING, replace(LEARNING, seed=1), evaluations=(first, second), fitness=1.25)
    text = write_reflection(found, [tmp_path / "one", tmp_path / "two"]).text
    assert "best episode: fitness 9, 41 steps" in text
    assert "worst episode: fitness -7, 40 steps" in text
    assert "of 2 trained policies" in text


def test_one_episode_is_shown_once(tmp_path: Path) -> None:
    found = evaluation([1.0])
    record(tmp_path / "eval", found)
    text = write_reflection(candidate(LEARNING, evaluations=(found,), fitness=1.0), [tmp_path / "eval"]).text
    assert "best episode" not in text
    assert "A typical episode: 40 steps" in text


def test_a_long_curve_is_thinned_to_ten_points_with_both_ends() -> None:
    curves = read_curves([training([point(step, 1.0, 1.0, speed=float(step)) for step in range(1, 101)])])
    assert curves.env_steps[0] == 1
    assert curves.env_steps[-1] == 100
    assert len(curves.terms[0].values) == POINTS


def test_curves_are_averaged_over_trainings_up_to_the_shortest() -> None:
    one = training([point(1, 1.0, None, speed=1.0), point(2, 3.0, 1.0, speed=1.0)])
    two = training([point(1, 3.0, 5.0, speed=2.0)])
    curves = read_curves([one, two])
    assert curves.reward.values == (2.0,)
    assert curves.fitness.values == (5.0,)
    assert curves.terms[0].values == (1.5,)


def test_no_training_gives_no_curves() -> None:
    curves = read_curves([])
    assert (curves.env_steps, curves.terms, curves.reward.max) == ((), (), None)


def test_shares_weigh_the_terms_at_the_end_of_training() -> None:
    parts = term_shares(read_curves([LEARNING]), WEIGHTS)
    assert sum(parts.values()) == pytest.approx(1.0)
    assert parts["speed"] == pytest.approx(2 * 0.617 / (2 * 0.617 + 0.5 * 0.65 + 0.01))


def curve_of(rewards: Sequence[float], fitness: Sequence[float], **terms: Sequence[float]) -> tuple[str, ...]:
    """Return the alarms of a training with these courses."""
    points = [
        point(step, rewards[step], fitness[step], **{name: values[step] for name, values in terms.items()})
        for step in range(len(rewards))
    ]
    return find_alarms(read_curves([training(points)]), {})


RISING = (0.0, 10.0, 20.0, 30.0, 40.0, 50.0)
FALLING = RISING[::-1]
FLAT = (20.0, 20.1, 20.0, 20.2, 20.1, 20.0)


def test_return_that_rises_while_fitness_falls_raises_an_alarm() -> None:
    assert "while fitness falls" in curve_of(RISING, FALLING)[0]


def test_return_that_rises_while_fitness_stays_raises_an_alarm() -> None:
    assert "while fitness stays flat" in curve_of(RISING, FLAT)[0]


@pytest.mark.parametrize(("rewards", "fitness"), [(RISING, RISING), (FLAT, FALLING), (FALLING, RISING)])
def test_return_and_fitness_that_agree_raise_none(rewards: Sequence[float], fitness: Sequence[float]) -> None:
    assert curve_of(rewards, fitness) == ()


def test_two_points_show_no_trend() -> None:
    assert curve_of(RISING[:2], FALLING[:2]) == ()


def test_a_term_that_drowns_the_others_raises_an_alarm() -> None:
    (alarm,) = curve_of(FLAT, FLAT, big=RISING, small=[value / 100 for value in RISING])
    assert "'big' makes 99 %" in alarm


def test_a_term_that_leads_to_the_goal_drowns_nothing() -> None:
    assert curve_of(RISING, RISING, big=RISING, small=[value / 100 for value in RISING]) == ()


def test_an_only_term_drowns_nothing() -> None:
    assert curve_of(RISING, RISING, only=RISING) == ()


def test_a_term_that_never_changes_and_leads_the_total_raises_an_alarm() -> None:
    (alarm,) = curve_of(FLAT, FLAT, alive=[0.5] * 6, speed=[value / 500 for value in RISING])
    assert "'alive' stays at 0.5 per step" in alarm


def test_a_bonus_for_surviving_raises_none_while_fitness_rises_or_where_it_is_small() -> None:
    assert curve_of(RISING, RISING, alive=[0.5] * 6, speed=[value / 50 for value in RISING]) == ()
    assert curve_of(FLAT, FLAT, alive=[0.5] * 6, speed=RISING, height=RISING) == ()


def test_a_term_that_is_always_zero_raises_an_alarm() -> None:
    alarms = curve_of(RISING, RISING, goal=[0.0] * 6, speed=RISING, height=RISING)
    assert [alarm for alarm in alarms if "'goal' is zero" in alarm]


def test_alarms_reach_both_the_user_and_the_designer(tmp_path: Path) -> None:
    points = [point(step, RISING[step], FALLING[step], speed=RISING[step], upright=1.0 + step) for step in range(6)]
    feedback = write_reflection(candidate(training(points), evaluations=(evaluation([1.0]),), fitness=1.0), [tmp_path])
    assert feedback.alarms
    assert all(alarm in feedback.text for alarm in feedback.alarms)


def test_a_trend_is_measured_in_the_courses_own_range() -> None:
    assert relative_trend(TermCurve("v", FALLING)) == pytest.approx(-0.8)
    assert relative_trend(TermCurve("v", FLAT)) == 0.0


def test_a_term_that_takes_over_while_fitness_stays_raises_an_alarm() -> None:
    near, speed = (0.0, 0.2, 1.0, 4.0, 5.0, 5.0), (1.0, 0.9, 1.0, 1.0, 0.9, 1.0)
    alarms = curve_of(FLAT, FLAT, near=near, speed=speed)
    assert [alarm for alarm in alarms if "'near' has grown from 10 to 84 % of the total" in alarm]
    assert not [alarm for alarm in curve_of(FLAT, RISING, near=near, speed=speed) if "has grown" in alarm]


def at_random(name: str, low: float, high: float) -> dict[str, TermStats]:
    return {name: TermStats(name, 1.0, 0.5 * (low + high), 0.1, low, high, 0.5)}


@pytest.mark.parametrize(
    ("course", "fitness", "raised"),
    [
        ((0.7, 0.9, 0.98, 0.99, 0.99, 1.0), FLAT, True),
        ((0.7, 0.9, 0.98, 0.99, 0.99, 1.0), RISING, False),
        ((0.2, 0.4, 0.5, 0.6, 0.7, 1.0), FLAT, False),
        ((0.7, 1.0, 2.0, 3.0, 4.0, 5.0), FLAT, False),
    ],
    ids=["pinned", "fitness rises", "still moving", "beyond what random actions reach"],
)
def test_a_posture_term_pinned_at_its_bound_raises_an_alarm_while_fitness_stays(
    course: Sequence[float], fitness: Sequence[float], raised: bool
) -> None:
    points = [point(step, FLAT[step], fitness[step], upright=course[step], speed=1.0 + step % 2) for step in range(6)]
    alarms = find_alarms(read_curves([training(points)]), {}, at_random("upright", 0.0, 1.0))
    assert any("'upright' has been at its bound" in alarm for alarm in alarms) == raised


def test_feedback_says_nothing_of_what_was_measured_beside_the_fitness(trained: tuple[Candidate, list[Path]]) -> None:
    one, folders = trained
    (known,) = one.evaluations
    episodes = tuple(replace(episode, metrics={"death_by_lava": 1.0}) for episode in known.episodes)
    beside = replace(known, episodes=episodes, metrics={"death_by_lava": 1.0})
    assert write_reflection(replace(one, evaluations=(beside,)), folders) == write_reflection(one, folders)


# ---------------------------------------------------------------- what the episodes tell

PROBE = Probe((), (2,), (-1.0, -1.0), (1.0, 1.0), None, (4,), 50, 100)


def episodes_of(*fitness: float, length: int = 40, terminated: bool = False) -> Evaluation:
    episodes = tuple(Episode(seed, value, length, terminated) for seed, value in enumerate(fitness))
    return Evaluation("ok", episodes, float(np.mean(fitness)), 1.0)


def test_the_card_s_signals_are_shown_whether_the_program_reads_them_or_not(
    trained: tuple[Candidate, list[Path]],
) -> None:
    reflection = write_reflection(*trained, None, ReflectionContext(card_signals=("success", "speed")))
    assert "steps | speed | tilt[0] | tilt[1] | tilt[2] | success" in reflection.text
    assert reflection.outcome == "3 of 5, 42 steps"
    assert reflection.ends == pytest.approx({"success": 1.0, "speed": 4.2})


def test_episodes_of_two_kinds_raise_an_alarm(tmp_path: Path) -> None:
    found = episodes_of(0.1, 0.2, 0.1, 9.0, 9.2, 0.15, 9.1)
    alarms = write_reflection(candidate(LEARNING, evaluations=(found,), fitness=4.0), [tmp_path]).alarms
    assert "the episodes fall into two kinds, 4 with a fitness about 0.138 and 3 about 9.1" in alarms[-1]


@pytest.mark.parametrize(
    "fitness",
    [(1.0, 2.0, 3.0, 4.0, 5.0, 6.0), (5.0, 5.1, 5.0, 5.1, 5.2, 5.1), (0.0, 0.0, 0.0, 0.0, 0.0, 9.0), (0.0, 9.0)],
    ids=["spread out", "alike", "one outlier", "too few"],
)
def test_other_episodes_are_of_one_kind(fitness: tuple[float, ...]) -> None:
    assert find_two_kinds(episodes_of(*fitness).episodes) is None


def test_actions_near_zero_raise_an_alarm(tmp_path: Path) -> None:
    found = episodes_of(1.0, 1.0)
    for size, raised in ((0.01, True), (0.5, False)):
        folder = tmp_path / str(size)
        folder.mkdir()
        rollout = Rollout({"speed": np.ones(40)}, {"speed": np.array(1.0)}, np.full((40, 2), size), False)
        EpisodeFile.in_folder(folder).write([rollout, rollout])
        one = candidate(LEARNING, evaluations=(found,), fitness=1.0)
        reflection = write_reflection(one, [folder], None, ReflectionContext(probe=PROBE))
        assert any("the actions are near zero" in alarm for alarm in reflection.alarms) == raised
        assert ("of the numbers at a bound" in reflection.text) is False


def test_a_return_that_falls_raises_an_alarm_unless_fitness_rises() -> None:
    assert "own return falls over training" in curve_of(FALLING, FLAT)[0]
    assert curve_of(FALLING, RISING) == ()


def test_a_constant_term_with_nearly_all_of_the_total_raises_an_alarm_even_where_fitness_rises() -> None:
    (alarm,) = curve_of(RISING, RISING, calm=[1.0] * 6, speed=[value / 1000 for value in RISING])
    assert "'calm' stays at 1 per step" in alarm


def test_a_policy_that_never_left_a_fitness_of_zero_does_not_cheat() -> None:
    assert curve_of(RISING, (0.0,) * 6) == ()


def test_one_episode_stands_for_all_where_they_went_alike_with_tenths_of_it(tmp_path: Path) -> None:
    found = episodes_of(5.0, 5.1, 5.05, length=200)
    steps = np.arange(1.0, 201.0)
    rollout = Rollout({"speed": np.sin(steps)}, {"speed": np.array(0.0)}, np.zeros((200, 2)), False)
    EpisodeFile.in_folder(tmp_path).write([rollout] * 3)
    text = write_reflection(candidate(LEARNING, evaluations=(found,), fitness=5.0), [tmp_path]).text
    assert "All ran to the time limit, 200 steps." in text
    assert text.count("steps | speed") == 1
    assert "start | 0\n1-200 | -1..1\nend, 200 | -0.873" in text


def test_the_fitness_of_each_trained_policy_is_printed(tmp_path: Path) -> None:
    runs = (episodes_of(-6.0), episodes_of(12.2), episodes_of(12.0))
    trainings = [replace(LEARNING, seed=seed) for seed in range(3)]
    text = write_reflection(candidate(*trainings, evaluations=runs, fitness=6.07), []).text
    assert "of 3 trained policies (-6, 12.2, 12)" in text


def test_what_terms_do_at_their_edges_stands_with_their_course(trained: tuple[Candidate, list[Path]]) -> None:
    context = ReflectionContext(term_use={"speed": TermUse(0.0, 0.05, 0.0), "upright": TermUse(0.31, 0.4, 0.1)})
    text = write_reflection(*trained, None, context).text
    assert "in the episode below 0 in 31 % of the steps, at its greatest value in 40 % of the steps" in text
    assert text.count("in the episode below") == 1


def test_metrics_are_named_only_where_the_card_lets_prompts_name_them(trained: tuple[Candidate, list[Path]]) -> None:
    one, folders = trained
    measured = replace(one, evaluations=(replace(one.evaluations[0], metrics={"inside": 0.25, "hidden": 1.0}),))
    context = ReflectionContext(metrics=(Metric("inside", "mean(near)", "share of steps in the ring", True),))
    text = write_reflection(measured, folders, None, context).text
    assert "inside: 0.25 (share of steps in the ring)." in text
    assert "hidden" not in text


def test_stretches_are_joined_where_the_policy_goes_on_alike_and_kept_where_something_happens() -> None:
    steps = np.arange(0.0, 401.0)
    gait, place = np.sin(steps), 0.1 * steps
    stretches = split_steps(400, 4)
    assert stretches == [(1, 10), (11, 108), (109, 205), (206, 302), (303, 400)]
    assert merge_alike([gait, place], stretches) == [(1, 400)]
    falls = np.where(steps > 350, 0.0, 1.0)
    assert merge_alike([gait, place, falls], stretches) == [(1, 302), (303, 400)]
