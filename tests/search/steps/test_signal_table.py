"""The table of signals in a prompt."""

from __future__ import annotations

import re

import pytest

from rewardsmith.contract.records import Signal, SignalFacts
from rewardsmith.search.steps.designer.signal_table import (
    CHARS_PER_TOKEN,
    FIGURES_HEADER,
    HEADER,
    render_signal_table,
)

BODIES = ("torso", *(f"{side}_{part}" for side in ("left", "right") for part in ("hip", "shin", "foot", "toe", "arm")))
ROOM = 400
"""Tokens in which the families fit and the whole list does not."""
SEEN = (("position", (3,), "m", "position"), ("velocity", (3,), "m/s", "velocity"))


def make_derived_signals(bodies=BODIES) -> list[Signal]:
    return [
        *(Signal(f"{b}_{q}", size, unit, f"{what} of body {b!r}", "") for b in bodies for q, size, unit, what in SEEN),
        Signal("knee_angle", (), "rad", "angle of joint 'knee', between -1 and 0", ""),
        Signal("hip_angle", (), "rad", "angle of joint 'hip', between -2 and 2", ""),
        Signal("robot0_grip_length", (), "m", "length of tendon 'robot0:grip'", ""),
        Signal("obs", (11,), "1", "the whole observation", ""),
    ]  # fmt: skip


CARD = [Signal("height", (), "m", "height | of the torso", ""), Signal("speed", (2, 2), "m/s", "speed", "")]


def list_names(text: str) -> set[str]:
    """Return every name that a reader of the list knows."""
    names, suffixes = set(), []
    for line in text.splitlines()[1:]:
        where = re.fullmatch(r"  where \* is (.*?)(?: and \d+ more)?", line)
        if where:
            for member in re.split(r", (?![^(]*\))", where[1]):
                names |= {f"{member.split()[0]}_{suffix}" for suffix in suffixes}
            suffixes = []
        elif line.startswith("*_"):
            suffixes.append(line.split(" | ")[0][2:])
        elif " | " in line:
            names.add(line.split(" | ")[0])
    return names


def test_every_name_can_be_read_off_and_no_other():
    signals = [*CARD, *make_derived_signals()]
    assert list_names(render_signal_table(signals, 2, ROOM)) == {signal.name for signal in signals}


def test_a_list_that_fits_stands_in_full():
    signals = [*CARD, *make_derived_signals()]
    text = render_signal_table(signals, 2, 1_000)
    assert [line.split(" | ")[0] for line in text.splitlines()[1:]] == [signal.name for signal in signals]


def test_a_family_is_told_once():
    text = render_signal_table(make_derived_signals(), 0, ROOM)
    assert text.count("velocity of body *") == 1
    assert "  where * is torso, left_hip, left_shin, left_foot, left_toe, left_arm, right_hip," in text
    assert "*_velocity | (3,) | m/s | velocity of body *" in text


def test_what_differs_stands_with_its_name():
    text = render_signal_table(make_derived_signals(), 0, ROOM)
    assert (
        "*_angle | scalar | rad | angle of joint *\n  where * is knee (between -1 and 0), hip (between -2 and 2)"
        in text
    )


def test_one_of_a_kind_stands_in_full():
    assert "robot0_grip_length | scalar | m | length of tendon 'robot0:grip'" in render_signal_table(
        make_derived_signals(), 0, ROOM
    )


def test_the_card_s_signals_come_first_and_in_full_whatever_the_budget():
    lines = render_signal_table([*CARD, *make_derived_signals()], 2, 1).splitlines()
    assert lines[:3] == [HEADER, "height | scalar | m | height / of the torso", "speed | (2, 2) | m/s | speed"]
    assert lines[3:] == [
        "(26 more signals exist, formed as *_position, *_velocity, *_angle; a name that does not exist is answered"
        " with the nearest ones)"
    ]


@pytest.mark.parametrize("budget", [150, 200, 250, 300, 400, 1_000])
def test_a_long_catalogue_keeps_to_its_budget_and_counts_the_rest(budget):
    signals = make_derived_signals([f"part_{i}" for i in range(100)])
    text = render_signal_table(signals, 0, budget)
    assert len(text) <= budget * CHARS_PER_TOKEN
    shown = list_names(text)
    assert shown <= {signal.name for signal in signals}
    left_out = re.search(r"\((\d+) more signals exist", text)
    assert len(shown) + (int(left_out[1]) if left_out else 0) == len(signals)


def test_without_a_signal_there_is_the_header_alone():
    assert render_signal_table([], 0, ROOM) == HEADER


def facts(*components: tuple[float, float], repeats: bool = False) -> SignalFacts:
    """Return facts of a signal whose components range from the first to the second number."""
    low, high = (tuple(edges) for edges in zip(*components, strict=True))
    middle = tuple((a + b) / 2 for a, b in components)
    still = tuple(index for index, (a, b) in enumerate(components) if a == b)
    return SignalFacts(middle, low, middle, high, still, repeats)


@pytest.mark.parametrize(
    ("least", "greatest", "start"), [(-1.2, 2.6, "-1.2..2.6"), (0.69, 0.71, "0.7"), (0.7, 0.7, "0.7")]
)
def test_a_start_that_is_drawn_at_random_is_told_as_a_range(least, greatest, start):
    fact = SignalFacts(((least + greatest) / 2,), (-3.0,), (0.0,), (3.0,), start_low=(least,), start_high=(greatest,))
    signal = Signal("heading", (), "rad", "heading of the pen", "qpos[0]")
    assert f"| {start}; -3..3, 0 |" in render_signal_table([signal], 1, ROOM, facts={"heading": fact})


PLANAR = [
    Signal("height", (), "m", "height of the torso", "qpos[1]"),
    Signal("torso_position", (3,), "m", "position of body 'torso'", ""),
    Signal("torso_orientation", (4,), "1", "orientation of body 'torso' as a quaternion (w, x, y, z)", ""),
    Signal("torso_angular_velocity", (3,), "rad/s", "angular velocity of body 'torso' in world axes", ""),
    Signal("foot_position", (3,), "m", "position of body 'foot'", ""),
    Signal("foot_mass", (), "kg", "mass of the foot", ""),
    Signal("torso_height", (), "m", "the same as height", ""),
]
PLANAR_FACTS = {
    "height": facts((0.69, 1.26)),
    "torso_position": facts((-1.0, 1.0), (0.0, 0.0), (0.69, 1.26)),
    "torso_orientation": facts((0.9, 1.0), (0.0, 0.0), (-0.1, 0.1), (0.0, 0.0)),
    "torso_angular_velocity": facts((0.0, 0.0), (-3.0, 3.0), (0.0, 0.0)),
    "foot_position": facts((-1.0, 1.0), (0.0, 0.0), (0.0, 0.4)),
    "foot_mass": facts((2.0, 2.0)),
    "torso_height": facts((0.69, 1.26), repeats=True),
}


def test_what_a_planar_robot_cannot_use_and_what_repeats_is_left_out():
    text = render_signal_table(PLANAR, 1, 1_500, PLANAR_FACTS, {})
    assert "orientation" not in text
    assert "foot_mass" not in text
    assert "torso_height" not in text
    assert "*_position | (3,) | m | position of body * ([1] never change)\n  where * is torso, foot" in text


def test_the_card_s_signals_have_figures_in_the_digits_of_their_range():
    assert render_signal_table(PLANAR, 1, 1_500, PLANAR_FACTS, {}).splitlines()[:2] == [
        FIGURES_HEADER,
        "height | scalar | m | 0.97; 0.69..1.26, 0.97 | height of the torso",
    ]


def test_what_the_policy_does_not_see_is_marked_by_component():
    text = render_signal_table(PLANAR, 1, 1_500, PLANAR_FACTS, {"height": (0,), "torso_position": (0,)})
    assert "height of the torso (not seen)" in text
    assert "where * is torso ([1] never change; [0] not seen), foot ([1] never change)" in text
