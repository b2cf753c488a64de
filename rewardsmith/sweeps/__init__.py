"""Sweeps: tasks × presets × models × seeds, a search for each cell; docs/sweeps.md."""

from rewardsmith.sweeps.book import Book, Outcome
from rewardsmith.sweeps.matrix import Cell, Matrix, Refusal, SweepFile, lay_out, read

__all__ = ["Book", "Cell", "Matrix", "Outcome", "Refusal", "SweepFile", "lay_out", "read"]
