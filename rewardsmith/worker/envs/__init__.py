"""Environments beside the simulator: n of them stepped at once, with the signals that a program names.

base        the interface: EnvStep, SignalLayout, ActionSpec, BatchedEnv
make        `make_envs(spec, n, gather)`: the fastest path that is exact for the environment
catalogue   `survey_environment(spec)`: the signals that an environment offers
"""
