"""Runs beside the simulator: a job in, files out."""
