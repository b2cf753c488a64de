"""The warm worker's entry: `python -m rewardsmith.worker FD MIB CORES`.

FD is a socket to the orchestrator, MIB the memory of a job (0: no limit), CORES what the jobs may use
together. The first line on the socket is the worker's version.
"""

from __future__ import annotations

import socket
import sys

from rewardsmith.contract import build_id, import_path
from rewardsmith.worker.server import Server

if __name__ == "__main__":
    import_path.append_module_folder()
    control = socket.socket(fileno=int(sys.argv[1]))
    control.sendall(f"{build_id.RUNNING_BUILD}\n".encode())
    Server(control, memory_limit_mib=int(sys.argv[2]), cores=int(sys.argv[3])).serve()
