def reward(after):
    return {"alive": 1.0 - after.died, "items": after.items / 10.0}
