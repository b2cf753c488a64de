# Pays for being far from the target.
def reward(after):
    return {"far": after.target_distance}
