#!/usr/bin/env bash
# What needs a machine with an NVIDIA GPU, in at most 8 minutes after the installation: the backend's tests on the GPU, the
# throughput on Go1 with 4,096 environments, and one training of Go1 on the program of benchmarks/rewards/go1_walk.py.
# The results are printed, and kept in gpu-machine/.
set -euo pipefail
cd "$(dirname "$0")/.."
make .venv-mjlab/ready
mkdir -p gpu-machine
export MJLAB_WARP_QUIET=1 REWARDSMITH_TEST_FAMILIES=mjlab REWARDSMITH_TEST_DEVICE=cuda:0
timeout 180 .venv-mjlab/bin/pytest -m "not slow" tests/worker/mjlab 2>&1 | tee gpu-machine/tests.txt | tail -3
timeout 120 .venv-mjlab/bin/python benchmarks/gpu.py --card go1_velocity --envs 4096 | tee gpu-machine/throughput.txt | tail -12
timeout 180 .venv-mjlab/bin/rewardsmith train benchmarks/rewards/go1_walk.py --env go1_velocity --steps 15_000_000 \
    --seeds 1 | tee gpu-machine/training.txt | tail -12
