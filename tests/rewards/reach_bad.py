# Pays for keeping away from the target.
def reward(after):
    return {"away": after.target_distance}
