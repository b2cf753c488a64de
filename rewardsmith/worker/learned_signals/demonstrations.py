"""Provider `demonstrations`: how far a state is along the stages of recorded episodes.

The stages are fitted before the search (`spec/demonstrations.py`), so that every training has the same, and no file
travels with a job; see `contract/demonstrated_stages.py` for the method.
"""

from __future__ import annotations

from rewardsmith.contract.demonstrated_stages import compute_progress
from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.learned_signals import DemonstrationOptions, read_options
from rewardsmith.worker.learned_signals.base import Array, Moments, ProviderContext


class DemonstrationProvider:
    """Rates each state by the stages of demonstrations."""

    frame_stride: int | None = None

    def __init__(self, context: ProviderContext) -> None:
        """Take the fitted stages.

        Raises:
            TaskError: if the environment lacks a signal of the demonstrations, or it has another shape.
        """
        fitted = read_options(DemonstrationOptions, context.signal).fitted
        if fitted is None:
            raise TaskError(f"learned signal {context.signal.name!r}: its demonstrations have not been read yet")
        shapes = {signal.name: signal.shape for signal in context.available}
        for name, shape in fitted.shapes.items():
            if shapes.get(name) != shape:
                raise TaskError(
                    f"learned signal {context.signal.name!r}: the demonstrations are of another environment than"
                    f" {context.env.env_id!r}: their signal {name!r} of shape {shape} is"
                    f" {'of shape ' + str(shapes[name]) if name in shapes else 'not'} there; the option signals = [...]"
                    " names those that count"
                )
        self._stages = fitted

    @property
    def remark(self) -> str:
        """Line for the user: the features that tell the stages apart."""
        features = ", ".join(
            f"{name}[{place}]" if self._stages.shapes[name] else name for name, place in self._stages.features
        )
        return f"{len(self._stages.mean)} stages, told apart by {features}"

    @property
    def reads(self) -> tuple[str, ...]:
        """See `SignalProvider.reads`."""
        return tuple(self._stages.shapes)

    def compute_values(self, moments: Moments) -> Array:
        """See `SignalProvider.compute_values`."""
        return compute_progress(self._stages, moments.signals)

    def close(self) -> None:
        """See `SignalProvider.close`."""
