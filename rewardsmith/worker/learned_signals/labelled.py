"""Provider `labelled`: how helpful a language model finds what has just happened.

After Zheng et al. 2024 (arXiv:2410.23022, ONI): transitions are captioned, captions go to the model while the training
goes on, and its answers are distilled into a small model whose value is the signal. This process has no key: it reports
captions to the orchestrator, which asks (`search/caption_labeller.py`), and reads the labels that have arrived.
"""

from __future__ import annotations

import fnmatch
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rewardsmith.contract.captions import REPORT_STEPS, LabelTable, clean_caption
from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.job_messages import CaptionsSeen
from rewardsmith.contract.learned_signals import LabelledOptions, read_options
from rewardsmith.contract.records import Signal
from rewardsmith.contract.signal_source import parse, quote_info_key
from rewardsmith.worker.learned_signals.base import Array, Moments, ProviderContext
from rewardsmith.worker.learned_signals.caption_models import make_caption_model

MOST_WAITING = 10_000
"""Captions that wait for a report; where there are more, nearly every step has one of its own, and they are dropped."""


class LabelledProvider:
    """Captions moments, reports new captions, and rates each by what is known of them."""

    frame_stride: int | None = None

    def __init__(self, context: ProviderContext) -> None:
        """Find the signals that captions are made of.

        Raises:
            TaskError: if the environment does not have them.
        """
        self._signal, self._send = context.signal.name, context.use.send
        self._options = read_options(LabelledOptions, context.signal)
        self._text = _find_text_signal(context, self._options.text)
        self._events = _find_event_signals(context, self._options.events)
        self._model = make_caption_model(self._options.model)
        self._table = LabelTable.find(self._signal, Path.cwd())

        self._reported: set[str] = set()
        self._waiting: dict[str, None] = {}
        """Captions that were not reported yet, the newest last."""
        self._steps_since_report = REPORT_STEPS
        self._last: dict[int, Array] = {}
        """Environment to the event signals of its last moment."""
        self._counts: defaultdict[int, Counter[str]] = defaultdict(Counter)
        """Environment to how often each caption was seen in its episode."""

    @property
    def reads(self) -> tuple[str, ...]:
        """See `SignalProvider.reads`."""
        return (*([self._text] if self._text else []), *self._events)

    def compute_values(self, moments: Moments) -> Array:
        """See `SignalProvider.compute_values`."""
        if self._table:
            self._model.add_labels(list(self._table.read_new()))
        captions = self._caption_moments(moments)
        self._report_captions(captions)
        return self._rate_moments(captions, moments)

    def close(self) -> None:
        """See `SignalProvider.close`."""

    # ---------------------------------------------------------------- captions

    def _caption_moments(self, moments: Moments) -> list[str]:
        """Return the caption of each moment; "" where nothing is told, as at the start of an episode."""
        texts = _decode_texts(moments.signals[self._text]) if self._text else [""] * moments.m
        events = self._describe_events(moments) if self._events else [""] * moments.m
        captions = [clean_caption("; ".join(filter(None, parts))) for parts in zip(texts, events, strict=True)]
        for start in np.flatnonzero(moments.starts):
            captions[start] = ""
        return captions

    def _describe_events(self, moments: Moments) -> list[str]:
        """Return which signals rose or fell at each moment."""
        values = np.stack([moments.signals[name].reshape(moments.m, -1).sum(axis=1) for name in self._events], axis=1)
        events = [""] * moments.m
        for piece in moments.iter_pieces():
            piece_values = values[piece.moments]
            before = piece_values[:1] if piece.begins else self._last[piece.env][None]
            changes = np.diff(piece_values, axis=0, prepend=before)
            for row, column in np.argwhere(changes != 0.0).tolist():
                place, rises = piece.moments.start + row, changes[row, column] > 0.0
                event = f"{self._events[column]} {'rises' if rises else 'falls'}"
                events[place] = f"{events[place]}, {event}" if events[place] else event
            self._last[piece.env] = piece_values[-1].copy()
        return events

    def _report_captions(self, captions: Sequence[str]) -> None:
        """Report the newest captions that were not reported yet; at most one report in REPORT_STEPS steps."""
        if self._send is None:
            return
        self._steps_since_report += len(captions)
        for caption in captions:
            if caption and caption not in self._reported:
                self._waiting.pop(caption, None)
                self._waiting[caption] = None
        if self._waiting and self._steps_since_report >= REPORT_STEPS:
            newest = list(reversed(self._waiting))[: self._options.batch]
            self._waiting = {} if len(self._waiting) > MOST_WAITING else self._waiting
            for caption in newest:
                self._waiting.pop(caption, None)
            self._reported.update(newest)
            self._steps_since_report = 0
            self._send(CaptionsSeen(self._signal, tuple(newest)))

    # ---------------------------------------------------------------- values

    def _rate_moments(self, captions: Sequence[str], moments: Moments) -> Array:
        """Return the value of each moment: that of its caption, divided by a power of its number in the episode."""
        distinct = sorted(set(captions) - {""})
        rating = dict(zip(distinct, self._model.rate_captions(distinct).tolist(), strict=True)) | {"": 0.0}
        values = np.array([rating[caption] for caption in captions])
        if not self._options.repeats:
            return values
        for piece in moments.iter_pieces():
            counts = self._counts[piece.env]
            if piece.begins:
                counts.clear()
            for place in range(piece.moments.start, piece.moments.stop):
                counts[captions[place]] += 1
                values[place] /= counts[captions[place]] ** self._options.repeats
        return values


def _find_text_signal(context: ProviderContext, key: str | None) -> str | None:
    """Return the name of the signal that holds a text of `info`; None where none is wanted."""
    if key is None:
        return None
    source = quote_info_key(key)
    wanted = parse(source) if source else None
    name = next((signal.name for signal in context.available if parse(signal.source) == wanted), None)
    if name is None:
        reported = ", ".join(signal.name for signal in context.available if len(signal.shape) == 1) or "none"
        raise TaskError(
            f"learned signal {context.signal.name!r}: text = {key!r}: the environment reports no such text in `info`;"
            f" signals that may hold one: {reported}"
        )
    return name


def _find_event_signals(context: ProviderContext, patterns: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the signals that patterns such as "did_*" match."""
    names: dict[str, Signal] = {}
    for pattern in patterns:
        matched = [signal for signal in context.available if fnmatch.fnmatchcase(signal.name, pattern)]
        if not matched:
            known = ", ".join(signal.name for signal in context.available)
            raise TaskError(
                f"learned signal {context.signal.name!r}: events = {pattern!r} names no signal; there are {known}"
            )
        names |= {signal.name: signal for signal in matched}
    return tuple(names)


def _decode_texts(codes: Array) -> list[str]:
    """Return texts from the codes of their characters (m, length), which zeros follow."""
    return [bytes(row).rstrip(b"\0").decode("latin-1") for row in codes.astype(np.uint8)]
