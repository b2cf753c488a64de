from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rewardsmith.contract.captions import CaptionLabel, LabelTable, encode_label
from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.job_messages import CaptionsSeen
from rewardsmith.contract.records import EnvSpec, LearnedSignal, Signal
from rewardsmith.worker.envs.wrappers import TextAsNumbers
from rewardsmith.worker.learned_signals.base import JobUse, Moments, ProviderContext
from rewardsmith.worker.learned_signals.labelled import LabelledProvider

MESSAGE = Signal("message", (256,), "1", "", 'info["message"]')
SIGNALS = (
    MESSAGE,
    Signal("has_key", (), "1", "", "info[has_key]"),
    Signal("did_drink", (), "1", "", "info[did_drink]"),
)


@pytest.fixture
def job_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a job's folder in a run directory, with an empty table of labels; it is the current folder."""
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "told.jsonl").touch()
    folder = tmp_path / "candidates" / "g0c00" / "train-s0"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


def open_provider(sent: list[CaptionsSeen] | None = None, **options: object) -> LabelledProvider:
    signal = LearnedSignal("told", "labelled", "a test", options=options)  # type: ignore[arg-type]
    use = JobUse("train", sent.append) if sent is not None else JobUse("evaluate")  # type: ignore[arg-type]
    return LabelledProvider(ProviderContext(signal, EnvSpec("Some-v0"), SIGNALS, 2, use))


def write_labels(folder: Path, *labels: CaptionLabel) -> None:
    with (folder.parents[2] / "labels" / "told.jsonl").open("ab") as file:
        file.write(b"".join(map(encode_label, labels)))


def tell(*rows: tuple[int, bool, str]) -> Moments:
    """Return moments of (environment, whether the episode begins, message)."""
    codes = np.zeros((len(rows), 256))
    for row, (_, _, text) in enumerate(rows):
        codes[row, : len(text)] = list(text.encode())
    starts, envs = np.array([row[1] for row in rows]), np.array([row[0] for row in rows], np.intp)
    return Moments({"message": codes}, np.zeros((len(rows), 1)), starts, envs)


def test_new_captions_are_reported_once_the_newest_first(job_folder: Path) -> None:
    sent: list[CaptionsSeen] = []
    provider = open_provider(sent, text="message")
    episode = [(0, True, "Hello!"), (0, False, "A wall."), (0, False, ""), (0, False, "A key."), (0, False, "A wall.")]
    provider.compute_values(tell(*episode))
    assert sent == [CaptionsSeen("told", ("A wall.", "A key."))]

    # Another report has to wait for its steps, and says all that is new since then.
    provider.compute_values(tell((0, False, "A door.")))
    provider.compute_values(tell(*[(0, False, "A wall.")] * 1023, (0, False, "A lamp.")))
    assert sent[1:] == [CaptionsSeen("told", ("A lamp.", "A door."))]


def test_labels_that_arrive_meanwhile_count_from_the_next_rollout_on(job_folder: Path) -> None:
    provider = open_provider([], text="message")
    rollout = tell((0, True, "Hello!"), (0, False, "A key."), (0, False, "A wall."))
    assert provider.compute_values(rollout).tolist() == [0.0, 0.0, 0.0]
    write_labels(job_folder, CaptionLabel("A key.", True), CaptionLabel("A wall.", False))
    assert provider.compute_values(rollout).tolist() == [0.0, 1.0, 0.0]


def test_a_repeated_caption_is_worth_less_in_the_same_episode_also_across_rollouts(job_folder: Path) -> None:
    write_labels(job_folder, CaptionLabel("A key.", True))
    provider = open_provider(text="message", repeats=1.0)
    first = provider.compute_values(tell((0, True, ""), (0, False, "A key."), (0, False, "A key."), (1, True, "")))
    again = provider.compute_values(
        tell((0, False, "A key."), (0, True, ""), (0, False, "A key."), (1, False, "A key."))
    )
    assert first.tolist() == [0.0, 1.0, 0.5, 0.0]
    assert again.tolist() == pytest.approx([1 / 3, 0.0, 1.0, 1.0])
    forever = open_provider(text="message", repeats=0.0)
    assert forever.compute_values(tell((0, True, ""), *[(0, False, "A key.")] * 3)).tolist() == [0.0, 1.0, 1.0, 1.0]


def test_signals_that_rise_or_fall_are_events(job_folder: Path) -> None:
    sent: list[CaptionsSeen] = []
    provider = open_provider(sent, events=("has_*", "did_drink"))
    starts, envs = np.array([True, False, False, True, False]), np.array([0, 0, 0, 1, 1], np.intp)
    has, drank = np.array([0.0, 1.0, 1.0, 1.0, 0.0]), np.array([0.0, 0.0, 0.0, 0.0, 2.0])
    provider.compute_values(Moments({"has_key": has, "did_drink": drank}, np.zeros((5, 1)), starts, envs))
    assert sent == [CaptionsSeen("told", ("has_key falls, did_drink rises", "has_key rises"))]


def test_an_evaluation_reads_the_labels_and_reports_nothing(job_folder: Path) -> None:
    write_labels(job_folder, CaptionLabel("A key.", True))
    assert open_provider(text="message").compute_values(tell((0, True, ""), (0, False, "A key."))).tolist() == [
        0.0,
        1.0,
    ]


def test_a_line_that_is_still_being_written_is_read_later(tmp_path: Path) -> None:
    whole = encode_label(CaptionLabel("A key.", True))
    path = tmp_path / "told.jsonl"
    path.write_bytes(whole + whole[:9])
    table = LabelTable(path)
    assert len(list(table.read_new())) == 1
    path.write_bytes(whole + whole)
    assert len(list(table.read_new())) == 1
    assert not list(table.read_new())


def test_an_environment_without_the_text_or_the_events_is_named_in_one_line() -> None:
    with pytest.raises(TaskError, match=r"text = 'news': the environment reports no such text .* hold one: message"):
        open_provider(text="news")
    with pytest.raises(TaskError, match=r"events = 'did_fly' names no signal; there are message, has_key, did_drink"):
        open_provider(events=("did_fly",))
    with pytest.raises(TaskError, match="say what captions are made of"):
        open_provider()


def test_texts_travel_as_numbers_and_come_back() -> None:
    import gymnasium

    class Talking(gymnasium.Env):  # type: ignore[type-arg]
        observation_space, action_space = gymnasium.spaces.Discrete(2), gymnasium.spaces.Discrete(2)

        def reset(self, **_: object):
            return 0, {"message": "Grüße"}

        def step(self, _: object):
            return 0, 0.0, False, False, {}

    env = TextAsNumbers(Talking(), ["message"])
    said = env.reset()[1]["message"]
    assert said.shape == (256,) and bytes(said.astype(np.uint8)).rstrip(b"\0").decode("latin-1") == "Grüße"
    assert not env.step(0)[4]["message"].any()
