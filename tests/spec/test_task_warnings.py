"""A sentence that matches another card's task gets a warning; a shared word is not a match."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rewardsmith.spec.task_cards import load_cards, load_task
from rewardsmith.spec.task_warnings import foreign_settings_warning, matching_card_warning, task_warnings


@pytest.mark.parametrize(
    ("text", "env", "better"),
    [
        ("Do a back flip", "Hopper-v5", "hopper_back_flip"),
        ("Do a front flip", "hopper_back_flip", "hopper_front_flip"),
        ("Hop in place", "Hopper-v5", "hopper_hop_in_place"),
        ("Run backwards", "HalfCheetah-v5", "half_cheetah_backward"),
        ("wave a leg", "Ant-v5", "ant_wave_leg"),
        ("lie down", "Ant-v5", "ant_lie_down"),
    ],
)
def test_a_sentence_that_states_another_card_is_remarked_on(text: str, env: str, better: str) -> None:
    warning = matching_card_warning(load_task(text, env))
    assert warning is not None
    assert f"--env {better} " in warning


@pytest.mark.parametrize("name", ["hopper_back_flip", "half_cheetah_backward", "ant_lie_down"])
def test_another_card_s_sentence_is_remarked_on_word_for_word(name: str) -> None:
    card = load_task(None, name)
    warning = matching_card_warning(load_task(card.text, card.env.env_id))
    assert warning is not None
    assert f"--env {name} " in warning


@pytest.mark.parametrize(
    ("text", "env"),
    [
        ("Wave your front left leg", "Hopper-v5"),
        ("Stand on the front", "Hopper-v5"),
        ("Put the foot in place", "Hopper-v5"),
        ("Hop forward", "Hopper-v5"),
        ("Jump ahead quickly", "Hopper-v5"),
        ("Hop forward as fast as possible without falling over", "Hopper-v5"),
        ("Sprint to the right", "HalfCheetah-v5"),
        ("Run, but never backwards", "HalfCheetah-v5"),
        ("run forward and keep the torso level", "HalfCheetah-v5"),
        ("go forward on all feet", "Ant-v5"),
        ("reach the target fast", "Reacher-v5"),
        ("Swing up", "Pendulum-v1"),
    ],
)
def test_a_shared_word_is_no_reason_for_a_remark(text: str, env: str) -> None:
    assert matching_card_warning(load_task(text, env)) is None


def test_no_shipped_card_has_a_warning_and_neither_has_a_fitness_of_ones_own() -> None:
    assert [card.name for card in load_cards() if task_warnings(card)] == []
    assert matching_card_warning(load_task("Do a back flip", "Hopper-v5", "-min(torso_pitch)")) is None
    assert matching_card_warning(load_task("Do a back flip", "CarRacing-v3", "sum(environment_reward)")) is None


def test_a_card_that_is_not_filled_in_is_named_with_its_keys() -> None:
    card = replace(load_task(None, "Hopper-v5"), env_about="FILL IN: what it is")
    (warning,) = task_warnings(card)
    assert "'hopper' is not filled in: its about still says" in warning


def test_settings_that_a_card_brings_for_its_own_sentence_are_said() -> None:
    warning = foreign_settings_warning(load_task("Swim in a circle", "Swimmer-v5", "max(abs(y_position))"))
    assert warning is not None
    assert "training.gamma = 0.9999" in warning
    assert foreign_settings_warning(load_task("Swim in a circle", "Swimmer-v5")) is None
    assert foreign_settings_warning(load_task("Run in a circle", "HalfCheetah-v5", "max(x_position)")) is None
