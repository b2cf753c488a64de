"""Record of what was found in demonstrations; `contract.demonstrated_stages` computes with it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DemonstratedStages:
    """G stages as distributions of F features, each a component of a signal."""

    features: tuple[tuple[str, int], ...]
    """(F,): signal, and number of the component in it, counted over its whole shape."""
    shapes: dict[str, tuple[int, ...]]
    """Signal to its shape, for those among the features."""
    center: tuple[float, ...]
    """(F,): mean over all demonstrations."""
    scale: tuple[float, ...]
    """(F,): deviation over all demonstrations."""
    mean: tuple[tuple[float, ...], ...]
    """(G, F): of each stage, after centering and scaling."""
    deviation: tuple[tuple[float, ...], ...]
    """(G, F)."""
