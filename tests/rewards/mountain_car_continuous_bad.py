# ruff: noqa: F821
# Pays for standing still: the car stays in the valley.
WEIGHTS = {"still": 1.0}


def reward(after):
    return {"still": -np.abs(after.car_velocity)}
