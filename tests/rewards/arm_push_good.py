# ruff: noqa: F821
WEIGHTS = {"approach": 1.0, "goal": 3.0, "push": 30.0, "there": 1.0, "effort": 0.005}


def reward(before, action, after):
    # Behind the cube, seen from the target, and low.
    way = before.cube_to_target / np.maximum(np.linalg.norm(before.cube_to_target, axis=1, keepdims=True), 1e-6)
    gap = np.linalg.norm(after.grip_to_cube - 0.04 * way, axis=1)
    return {
        "approach": -gap,
        "goal": -after.goal_distance,
        "push": before.goal_distance - after.goal_distance,
        "there": np.exp(-((after.goal_distance / 0.04) ** 2)),
        "effort": -np.sum(action**2, axis=1),
    }
