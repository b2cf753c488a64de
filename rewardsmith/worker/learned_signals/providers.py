"""Providers of learned signals by name: rewardsmith's own, and those of users as "module:Class"."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import cast

from rewardsmith.contract.errors import TaskError
from rewardsmith.worker.learned_signals.base import ProviderContext, SignalProvider

MODULES = {
    "image_text": "rewardsmith.worker.learned_signals.image_text:ImageTextProvider",
    "subgoals": "rewardsmith.worker.learned_signals.subgoals:SubgoalProvider",
    "labelled": "rewardsmith.worker.learned_signals.labelled:LabelledProvider",
    "demonstrations": "rewardsmith.worker.learned_signals.demonstrations:DemonstrationProvider",
}
"""Provider to its class, imported when a job needs it; `contract.learned_signals` has their options."""


def open_provider(context: ProviderContext) -> SignalProvider:
    """Make the provider of a learned signal.

    Raises:
        TaskError: if there is no such provider, it cannot be imported, or it refuses its options.
    """
    signal = context.signal
    path = MODULES.get(signal.provider, signal.provider)
    module, _, name = path.partition(":")
    try:
        make = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise TaskError(
            f"learned signal {signal.name!r}: the provider {signal.provider!r} cannot be imported: {error}"
        ) from error
    return cast("Callable[[ProviderContext], SignalProvider]", make)(context)
