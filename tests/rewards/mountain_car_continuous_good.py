# ruff: noqa: F821
# Energy of the car, so that swinging pays before the flag is in reach.
WEIGHTS = {"energy": 100.0, "flag": 10.0}


def energy(position, velocity):
    return 0.0025 / 3.0 * np.sin(3.0 * position) + 0.5 * velocity**2


def reward(before, after):
    gained = energy(after.car_position, after.car_velocity) - energy(before.car_position, before.car_velocity)
    return {"energy": 10.0 * gained, "flag": np.where(after.car_position >= 0.45, 1.0, 0.0)}
