"""Environment steps per CPU second, end to end with learning: a generated reward here against SB3's PPO as it comes.

    python benchmarks/throughput.py [ENV ...] [--rounds 5] [--steps 8192]

The long form of `rewardsmith bench`: more environments and rounds, the same measurement
(`rewardsmith/worker/bench.py`, which says what is compared).
"""

from __future__ import annotations

import os
import sys

os.environ.update({"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})

from rewardsmith.worker import bench
from rewardsmith.worker.bench import machine

__all__ = ["machine"]

ENVIRONMENTS = ("Hopper-v5", "HalfCheetah-v5", "Walker2d-v5", "Ant-v5", "Humanoid-v5")

if __name__ == "__main__":
    sys.exit(bench.main(["--rounds", "5", "--steps", "8192", *sys.argv[1:]], ENVIRONMENTS))
