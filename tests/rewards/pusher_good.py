# ruff: noqa: F821
WEIGHTS = {"goal": 4.0, "reach": 1.0, "effort": 0.01}


def reward(action, after):
    fork = 0.5 * (after.left_finger_position + after.right_finger_position)
    return {
        "goal": -after.goal_distance,
        "reach": -shaping.distance(fork, after.object_position),
        "effort": -np.sum(action**2, axis=1),
    }
