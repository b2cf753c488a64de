"""Follow the commanded velocity and turn, level and smoothly, for go1_velocity."""

WEIGHTS = {"track": 2.0, "turn": 1.0, "level": 0.5, "height": 0.5, "tilt": 0.05, "smooth": 0.02, "air": 0.5}


def reward(before, action, after):
    moves = np.linalg.norm(before.commanded_velocity, axis=1) > 0.1
    error = np.sum((after.velocity - before.commanded_velocity) ** 2, axis=1)
    return {
        "track": np.exp(-error / 0.25),
        "turn": np.exp(-((after.yaw_rate - before.commanded_turn) ** 2) / 0.25),
        "level": after.upright,
        "height": np.exp(-((after.height - 0.28) ** 2) / 0.002),
        "tilt": -np.minimum(np.sum(after.tilt_rates**2, axis=1), 50.0),
        "smooth": -np.minimum(np.sum((action - before.last_action) ** 2, axis=1), 100.0),
        "air": moves * np.sum(np.clip(after.feet_air_times, 0.0, 0.3), axis=1),
    }
