from __future__ import annotations

import pytest

from rewardsmith.contract.captions import CaptionLabel, CaptionPreference
from rewardsmith.worker.learned_signals.caption_models import make_caption_model

LABELS = [
    CaptionLabel("You see here a key.", True),
    CaptionLabel("g - a key.", True),
    CaptionLabel("You unlock the door.", True),
    CaptionLabel("It's a wall.", False),
    CaptionLabel("You see no objects here.", False),
    CaptionLabel("You stop at the wall.", False),
]


@pytest.mark.parametrize("kind", ["hashing", "classification", "ranking"])
def test_nothing_is_worth_anything_before_the_first_label(kind) -> None:
    assert make_caption_model(kind).rate_captions(["g - a key."]).tolist() == [0.0]


def test_hashing_knows_labelled_captions_alone() -> None:
    model = make_caption_model("hashing")
    model.add_labels(LABELS)
    assert model.rate_captions(["g - a key.", "It's a wall.", "h - a key."]).tolist() == [1.0, 0.0, 0.0]


def test_classification_generalises_over_words() -> None:
    model = make_caption_model("classification")
    model.add_labels(LABELS[:3])
    model.add_labels(LABELS[3:])
    assert model.rate_captions(["h - a key.", "You unlock it.", "You stop.", "A wall."]).tolist() == [
        1.0,
        1.0,
        0.0,
        0.0,
    ]


def test_ranking_orders_captions_by_their_comparisons() -> None:
    order = ["It's a wall.", "You see here a key.", "g - a key.", "You unlock the door."]
    model = make_caption_model("ranking")
    model.add_labels(
        CaptionPreference(order[high], order[low], 1)
        if (high + low) % 2
        else CaptionPreference(order[low], order[high], 2)
        for high in range(4)
        for low in range(high)
    )
    wall, seen, taken, unlocked = model.rate_captions(order)
    assert wall == seen == 0.0 < taken < unlocked < 1.0


def test_equal_comparisons_leave_captions_equal() -> None:
    model = make_caption_model("ranking")
    model.add_labels([CaptionPreference("a door", "a wall", 0)])
    assert model.rate_captions(["a door", "a wall"]).max() == pytest.approx(0.0, abs=1e-9)
