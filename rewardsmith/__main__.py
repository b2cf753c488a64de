"""`python -m rewardsmith` is the command `rewardsmith`."""

from rewardsmith.cli.main import run

if __name__ == "__main__":
    run()
