"""Sweeps: tasks × presets × models × seeds, a search for each cell; docs/sweeps.md."""

from rewardsmith.api.sweep.matrix import Cell, Matrix, Refusal, SweepFile, lay_out, read
from rewardsmith.api.sweep.store import Book, Outcome

__all__ = ["Book", "Cell", "Matrix", "Outcome", "Refusal", "SweepFile", "lay_out", "read"]
