"""Environments beside the simulator: n of them stepped at once, with the signals that a program names.

base        the interface: Step, Layout, Actions, BatchedEnv
make        `make(spec, n, gather)`: the fastest path that is exact for the environment
catalogue   `catalogue(spec)`: the signals that an environment offers
"""
