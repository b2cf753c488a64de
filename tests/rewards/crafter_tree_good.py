# ruff: noqa: F821
WEIGHTS = {"beside": 1.0, "closer": 0.5}


def reward(before, after):
    in_view = (before.tree_distance < 16) & (after.tree_distance < 16)
    closer = np.clip(before.tree_distance - after.tree_distance, -1, 1)
    return {"beside": np.where(after.tree_distance <= 1, 1.0, 0.0), "closer": np.where(in_view, closer, 0.0)}
