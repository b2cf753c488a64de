# ruff: noqa: F821
def reward(after):
    return {"away": np.minimum(after.tree_distance, 8.0)}
