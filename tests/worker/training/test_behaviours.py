"""The fitness of the behaviour cards measures the behaviour: made-up episodes, and motions played in the simulator."""

from __future__ import annotations

import numpy as np
import pytest

from rewardsmith.contract.fitness import Fitness, Rollout
from rewardsmith.spec.task_cards import load_task
from rewardsmith.worker.envs.make import make_envs

STEPS = 300
TURN = 2 * np.pi
IN_AIR, ON_GROUND = 0.0, 150.0


def fitness(name: str, start: dict[str, object] | None = None, terminated: bool = False, **signals) -> float:
    """Return the card's fitness of an episode of these signals, each (T, ...)."""
    arrays = {key: np.asarray(value, float) for key, value in signals.items()}
    starts = {key: np.asarray(value, float) for key, value in (start or {}).items()}
    length = len(next(iter(arrays.values())))
    measured = Fitness.parse(load_task(None, name).fitness)
    return measured.evaluate(Rollout(arrays, starts, np.zeros((length, 1)), terminated))


def hops(pitch_in_air: float, count: int = 1, back_on_ground: bool = False) -> dict[str, np.ndarray]:
    """Return pitch and ground force of hops: 20 steps on the ground, 40 in the air, turning by so much in each."""
    pitch, force, at = [], [], 0.0
    for _ in range(count):
        begin = at
        pitch += list(np.linspace(at, 0.0, 20) if back_on_ground else np.full(20, at))
        begin = 0.0 if back_on_ground else begin
        pitch += list(np.linspace(begin, begin + pitch_in_air, 40))
        force += [ON_GROUND] * 20 + [IN_AIR] * 40
        at = begin + pitch_in_air
    return {"torso_pitch": np.array([*pitch, at]), "ground_force": np.array([*force, ON_GROUND])}


@pytest.mark.parametrize(("name", "sign"), [("hopper_back_flip", -1), ("hopper_front_flip", 1)])
class TestFlips:
    def test_every_full_turn_in_the_air_counts(self, name, sign):
        one, three = fitness(name, **hops(sign * 0.9 * TURN)), fitness(name, **hops(sign * 0.9 * TURN, 3))
        assert one == pytest.approx(1.9)
        assert three == pytest.approx(3.9)

    def test_rolling_on_the_ground_is_no_flip(self, name, sign):
        roll = {"torso_pitch": np.linspace(0, sign * 5 * TURN, STEPS), "ground_force": np.full(STEPS, ON_GROUND)}
        assert fitness(name, **roll) == 0

    def test_rolling_with_a_bounce_counts_the_bounce_alone(self, name, sign):
        force = np.where(np.arange(STEPS) % 10 < 2, IN_AIR, ON_GROUND)
        roll = {"torso_pitch": np.linspace(0, sign * 5 * TURN, STEPS), "ground_force": force}
        assert fitness(name, **roll) < 0.02

    def test_rocking_does_not_add_up(self, name, sign):
        assert fitness(name, **hops(sign * 0.2 * TURN, 5, back_on_ground=True)) == pytest.approx(0.2)

    def test_the_other_direction_is_none(self, name, sign):
        assert fitness(name, **hops(-sign * 0.9 * TURN, 3)) <= 0

    def test_half_a_turn_is_worth_less_than_a_flip_and_more_than_nothing(self, name, sign):
        assert 0.4 < fitness(name, **hops(sign * 0.5 * TURN, 5)) < 0.6


@pytest.mark.parametrize(("name", "rate"), [("hopper_back_flip", -12.0), ("hopper_front_flip", 12.0)])
def test_a_hopper_thrown_into_the_air_flips_in_the_direction_of_its_name(name, rate):
    flipped = thrown(name, height=3.0, z_velocity=4.0, rate=rate)
    assert flipped > 1.75
    assert thrown(name, height=3.0, z_velocity=4.0, rate=-rate) < 0.1
    toppled = thrown(name, height=1.25, z_velocity=0.0, rate=rate / 6)
    assert toppled < 0.3


def thrown(name: str, height: float, z_velocity: float, rate: float) -> float:
    """Return the fitness of a limp hopper that starts in the air, upright, turning at `rate` rad/s."""
    task = load_task(None, name)
    measured = Fitness.parse(task.fitness)
    env = make_envs(task.env, 1, measured.names)
    env.reset((0,))
    original = env._original
    qvel = np.zeros(6)
    qvel[1:3] = z_velocity, rate
    original.set_state(np.array([0.0, height, 0.0, 0.0, 0.0, 0.0]), qvel)
    env._physics.restore_row(0, original.data)
    after = []
    for _ in range(150):
        step = env.step(np.zeros((1, 3)))
        after.append(step.after[0].copy())
    signals = env.layout.unpack_signals(np.stack(after))
    return measured.evaluate(Rollout(signals, {}, np.zeros((150, 3)), False))


def hopping(foot_height, x=0.0, foot_tilt=0.0, terminated=False) -> float:
    shape = np.shape(foot_height)
    return fitness(
        "hopper_hop_in_place",
        {"x_position": 0.0},
        terminated,
        foot_height=foot_height,
        foot_tilt=np.broadcast_to(foot_tilt, shape),
        x_position=np.broadcast_to(x, shape),
    )


def test_hopping_in_place_counts_the_time_in_the_air_near_the_start():
    hops = np.where(np.arange(1000) % 60 < 30, 0.3, 0.06)
    assert hopping(hops) == pytest.approx(0.51)
    assert hopping(hops, x=np.linspace(0, 10, 1000)) == pytest.approx(0.026, abs=0.01)
    assert hopping(hops[:100], terminated=True) < 0.07


def test_standing_on_tiptoe_or_trembling_is_no_hop():
    tiptoe = np.full(1000, 0.06 + 0.195 * 0.7)
    assert hopping(tiptoe, foot_tilt=-0.7) == 0
    assert hopping(0.07 + 0.03 * np.sin(np.arange(1000))) == 0


@pytest.mark.parametrize("name", ["half_cheetah_backward", "half_cheetah_target_speed"])
def test_sliding_on_the_back_counts_as_standing_still(name):
    speed = -4.0 if name.endswith("backward") else 3.0
    running = fitness(name, x_velocity=np.full(100, speed), torso_upright=np.ones(100))
    sliding = fitness(name, x_velocity=np.full(100, speed), torso_upright=-np.ones(100))
    standing = fitness(name, x_velocity=np.zeros(100), torso_upright=np.ones(100))
    assert running > standing == sliding


def test_a_speed_beside_the_target_costs_what_it_is_off_at_every_moment():
    upright = np.ones(100)
    assert fitness("half_cheetah_target_speed", x_velocity=np.full(100, 5.0), torso_upright=upright) == -2
    lurching = np.where(np.arange(100) % 2, 6.0, 0.0)  # 3 m/s on average
    assert fitness("half_cheetah_target_speed", x_velocity=lurching, torso_upright=upright) == -3


def holding(distance: float, speed: float) -> float:
    velocity = np.zeros((100, 3))
    velocity[:, 0] = speed
    return fitness("reacher_hold", target_distance=np.full(100, distance), fingertip_velocity=velocity)


def test_holding_needs_the_target_and_stillness():
    assert holding(0.0, 0.0) == 1
    assert holding(0.15, 0.0) < 1e-3
    assert holding(0.0, 0.5) < 1e-3
    assert holding(0.01, 0.02) > 0.8


def test_a_limp_ant_lies_and_a_standing_or_struggling_one_does_not():
    still, struggling = np.zeros((200, 8)), np.full((200, 8), 4.0)
    assert fitness("ant_lie_down", torso_height=np.full(200, 0.38), joint_velocities=still) == 1
    assert fitness("ant_lie_down", torso_height=np.full(200, 0.55), joint_velocities=still) == 0
    assert fitness("ant_lie_down", torso_height=np.full(200, 0.38), joint_velocities=struggling) < 0.05


def waving(hip, foot=0.25, others=0.08, upright=1.0) -> float:
    return fitness(
        "ant_wave_leg",
        front_left_hip=hip,
        torso_upright=np.full(300, upright),
        front_left_foot_height=np.full(300, foot),
        rear_left_foot_height=np.full(300, others),
        rear_right_foot_height=np.full(300, others),
        front_right_foot_height=np.full(300, others),
    )


def test_waving_is_a_wide_swing_of_a_lifted_leg_on_three_others():
    wave = 0.5 * np.sin(TURN * np.arange(300) / 16)
    assert waving(wave) > 0.5
    assert waving(wave, foot=0.08) == 0
    assert waving(wave, others=0.3) == 0  # a leap, or on its back
    assert waving(wave, upright=0.1) == 0
    assert waving(np.full(300, 0.5)) == 0
    assert waving(0.02 * (-1.0) ** np.arange(300)) < 0.05  # trembling
