# ruff: noqa: F821
WEIGHTS = {"nose": 2.0, "front_feet": 0.5, "alive": 0.1, "effort": 0.01}


def reward(action, after):
    front = np.minimum(after.FL_foot_height, after.FR_foot_height)
    return {
        "nose": after.nose_up,
        "front_feet": np.clip(front, 0.0, 0.5),
        "alive": np.ones(len(action)),
        "effort": -np.sum(action**2, axis=1),
    }
