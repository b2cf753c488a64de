"""The worker, the process with the simulator and torch: it reads a job and writes result files."""
