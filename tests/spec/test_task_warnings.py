"""What sounds like another card's task is remarked on, and what does not is left alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rewardsmith.spec.task_cards import cards, load_task
from rewardsmith.spec.task_warnings import better_card, doubts


@pytest.mark.parametrize(
    ("text", "env", "better"),
    [
        ("Do a back flip", "Hopper-v5", "hopper_back_flip"),
        ("Make it flip backwards and land on its foot", "Hopper-v5", "hopper_back_flip"),
        ("Do a front flip", "hopper_back_flip", "hopper_front_flip"),
        ("Hop on the spot", "Hopper-v5", "hopper_hop_in_place"),
        ("move forward", "hopper_back_flip", "hopper"),
        ("Run backwards", "HalfCheetah-v5", "half_cheetah_backward"),
        ("wave a leg", "Ant-v5", "ant_wave_leg"),
        ("lie down", "Ant-v5", "ant_lie_down"),
    ],
)
def test_a_sentence_that_is_nearer_to_another_card_is_remarked_on(text: str, env: str, better: str) -> None:
    remark = better_card(load_task(text, env))
    assert remark is not None
    assert f"--env {better} " in remark


@pytest.mark.parametrize(
    ("text", "env"),
    [
        ("Hop forward", "Hopper-v5"),
        ("Jump ahead quickly", "Hopper-v5"),
        ("Hop forward as fast as possible without falling over", "Hopper-v5"),
        ("Sprint to the right", "HalfCheetah-v5"),
        ("run forward and keep the torso level", "HalfCheetah-v5"),
        ("go forward on all feet", "Ant-v5"),
        ("reach the target fast", "Reacher-v5"),
        ("Swing up", "Pendulum-v1"),
    ],
)
def test_other_words_for_the_card_s_own_task_are_left_alone(text: str, env: str) -> None:
    assert better_card(load_task(text, env)) is None


def test_no_card_is_doubted_and_a_measure_of_ones_own_is_not_either() -> None:
    assert [card.name for card in cards() if doubts(card)] == []
    assert better_card(load_task("Do a back flip", "Hopper-v5", "-min(torso_pitch)")) is None
    assert better_card(load_task("Do a back flip", "CarRacing-v3", "sum(own_reward)")) is None


def test_a_card_that_is_not_filled_in_is_named_with_its_keys() -> None:
    card = replace(load_task(None, "Hopper-v5"), env_about="FILL IN: what it is")
    (remark,) = doubts(card)
    assert "'hopper' is not filled in: its about still says" in remark
