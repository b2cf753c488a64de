# ruff: noqa: F821
WEIGHTS = {"turn": 1.0, "spot": 0.3, "alive": 0.2, "effort": 0.02}


def reward(action, after):
    return {
        "turn": np.clip(after.yaw_rate, -2.0, 2.0),
        "spot": -np.abs(after.forward_velocity) - np.abs(after.sideways_velocity),
        "alive": np.ones(len(action)),
        "effort": -np.sum(action**2, axis=1),
    }
