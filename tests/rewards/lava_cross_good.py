# ruff: noqa: F821
WEIGHTS = {"ring_on": 1.0, "closer": 0.2, "there": 5.0, "dead": 2.0}


def reward(before, after):
    known = (before.stairs_down_distance < 80) & (after.stairs_down_distance < 80)
    closer = np.clip(before.stairs_down_distance - after.stairs_down_distance, -1, 1)
    return {
        "ring_on": after.levitating - before.levitating,
        "closer": np.where(known, closer, 0.0),
        "there": np.where(after.stairs_down_distance == 0, 1.0, 0.0),
        "dead": -after.died,
    }
