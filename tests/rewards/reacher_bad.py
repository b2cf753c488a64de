# Pays for keeping away from the target.
WEIGHTS = {"away": 1.0}


def reward(after):
    return {"away": after.target_distance}
