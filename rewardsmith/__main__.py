"""Entry point of `python -m rewardsmith`, which is the command `rewardsmith`."""

import sys
from pathlib import Path

# `-m` puts the current folder first, and that may be a run directory, which may come from anybody.
if not sys.flags.safe_path and sys.path[:1] == [str(Path.cwd())]:
    del sys.path[0]

from rewardsmith.cli.main import run

if __name__ == "__main__":
    run()
