# ruff: noqa: F821
WEIGHTS = {"reach": 2.0, "near": 0.5, "close": 0.5, "lift": 20.0, "effort": 0.005}


def reward(action, after):
    near = np.exp(-((after.reach_distance / 0.02) ** 2))
    lifted = np.clip(after.cube_position[:, 2] - 0.025, 0.0, 0.15)
    return {
        "reach": -after.reach_distance,
        "near": near,
        "close": near * np.minimum(after.finger_closing, 0.011) / 0.011,
        "lift": lifted * np.exp(-((after.reach_distance / 0.05) ** 2)),
        "effort": -np.sum(action**2, axis=1),
    }
