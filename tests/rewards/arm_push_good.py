# ruff: noqa: F821
WEIGHTS = {"approach": 1.0, "touch": 0.3, "goal": 3.0, "push": 50.0, "effort": 0.005}


def reward(before, action, after):
    # Behind the cube, seen from the target, and low.
    way = before.target_position - before.cube_position
    way = way / np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-6)
    gap = np.linalg.norm(after.grip_position - after.cube_position + 0.04 * way, axis=1)
    return {
        "approach": -gap,
        "touch": np.exp(-((gap / 0.06) ** 2)),
        "goal": -after.goal_distance,
        "push": before.goal_distance - after.goal_distance,
        "effort": -np.sum(action**2, axis=1),
    }
