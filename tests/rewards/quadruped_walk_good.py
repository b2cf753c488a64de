# ruff: noqa: F821
WEIGHTS = {"speed": 1.5, "straight": 0.3, "steady": 0.05, "smooth": 0.0005, "effort": 0.02, "alive": 0.2}


def reward(action, after):
    return {
        "speed": np.exp(-(((after.forward_velocity - 0.5) / 0.25) ** 2)),
        "straight": -np.abs(after.sideways_velocity) - np.abs(after.yaw_rate),
        "steady": -(after.roll_rate**2) - after.pitch_rate**2,
        "smooth": -np.sum(after.joint_velocities**2, axis=1),
        "effort": -np.sum(action**2, axis=1),
        "alive": np.ones(len(action)),
    }
