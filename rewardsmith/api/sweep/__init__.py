"""Sweeps: tasks × presets × models × seeds, a search for each cell; docs/sweeps.md.

matrix         a sweep's file and its cells           store        the sweep's directory and its outcomes
runner         runs cells on one executor             shared_jobs  jobs that many cells have in common, done once
aggregate      outcomes by task and preset            statistics   their estimates with intervals
html_report, csv_table   the figures as files         sweeps       the functions behind the command
"""

from rewardsmith.api.sweep.matrix import Cell, RefusedCells, SweepMatrix, build_matrix
from rewardsmith.api.sweep.store import CellOutcome, SweepStore
from rewardsmith.api.sweep.sweep_file import SweepFile, load_sweep_file

__all__ = [
    "Cell",
    "CellOutcome",
    "RefusedCells",
    "SweepFile",
    "SweepMatrix",
    "SweepStore",
    "build_matrix",
    "load_sweep_file",
]
