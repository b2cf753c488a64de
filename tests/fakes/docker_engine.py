"""Runs a command with its own Docker engine, for the tests marked `docker`.

    python tests/fakes/docker_engine.py [--install] COMMAND...

The engine has its own data root, socket and process file in a temporary folder, no network, and an image made of the
interpreter and the NumPy that run this script, so that no registry is needed. The command finds both through
DOCKER_HOST and REWARDSMITH_SANDBOX_BASE. Where no engine can be started, the reason is printed and handed to the
command in REWARDSMITH_NO_ENGINE; the tests are then skipped with it. `--install` gets the engine from Debian's
packages if it is not installed. Needs root.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import numpy

BASE = "rewardsmith-test-base:latest"
START_TIMEOUT_S = 60
FLAGS = (
    "--storage-driver=overlay2",
    "--iptables=false",
    "--ip6tables=false",
    "--ip-forward=false",
    "--ip-masq=false",
    "--bridge=none",
    "--exec-opt=native.cgroupdriver=cgroupfs",
)
LEFT_OUT = ("test", "site-packages", "idlelib", "ensurepip", "tkinter", "turtledemo", "lib2to3", "__pycache__")


class NoEngine(Exception):
    """Raised when no engine can be started here."""


def main() -> int:
    """Start the engine, run the command, stop the engine; return the command's exit code."""
    arguments = sys.argv[1:]
    install = arguments[:1] == ["--install"]
    command = arguments[install:]
    if not command:
        sys.exit(__doc__)
    environment = dict(os.environ)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the engine is stopped
    with contextlib.ExitStack() as stack:
        try:
            environment |= stack.enter_context(engine(install))
        except (NoEngine, OSError, subprocess.SubprocessError, docker.errors.DockerException) as error:
            print(f"no Docker engine: {error}", file=sys.stderr)
            environment["REWARDSMITH_NO_ENGINE"] = str(error)
        return subprocess.run(command, env=environment, check=False).returncode


@contextlib.contextmanager
def engine(install: bool) -> Iterator[dict[str, str]]:
    """Give the variables that name a running engine and its base image."""
    dockerd = find_dockerd(install)
    with tempfile.TemporaryDirectory(prefix="rewardsmith-engine-") as folder:
        process, host = start(dockerd, Path(folder))
        try:
            client = wait_for(host, process, Path(folder) / "log")
            client.api.import_image_from_data(base_image(), repository=BASE.partition(":")[0], tag="latest")
            client.close()
            yield {"DOCKER_HOST": host, "REWARDSMITH_SANDBOX_BASE": BASE}
        finally:
            process.terminate()
            process.wait()
            unmount_below(folder)


def find_dockerd(install: bool) -> str:
    """Return the engine's path."""
    if os.geteuid() != 0:
        raise NoEngine("starting an engine takes root")
    if shutil.which("dockerd") is None and install and shutil.which("apt-get"):
        subprocess.run(["apt-get", "update", "-q"], check=True, stdout=sys.stderr)
        packages = ["apt-get", "install", "-y", "-q", "--no-install-recommends", "docker.io"]
        subprocess.run(packages, check=True, stdout=sys.stderr)
    dockerd = shutil.which("dockerd")
    if dockerd is None:
        raise NoEngine("dockerd is not installed (Debian: apt-get install --no-install-recommends docker.io)")
    return dockerd


def start(dockerd: str, folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """Start an engine that keeps everything below the folder."""
    host = f"unix://{folder}/docker.sock"
    places = (f"--data-root={folder}/data", f"--exec-root={folder}/exec", f"--pidfile={folder}/pid", f"--host={host}")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([dockerd, *FLAGS, *places], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    return process, host


def wait_for(host: str, process: subprocess.Popen[bytes], log: Path) -> docker.DockerClient:
    """Return a client once the engine answers."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(docker.errors.DockerException):
            client = docker.DockerClient(base_url=host)
            client.ping()
            return client
        time.sleep(0.2)
    raise NoEngine(f"dockerd did not start: {log.read_text(errors='replace')[-500:]}")


def base_image() -> bytes:
    """Return a root folder with this interpreter, its NumPy and a shell, as a tar archive."""
    library = Path(sysconfig.get_path("stdlib"))
    home = f"usr/local/lib/{library.name}"
    packages = Path(numpy.__file__).parents[1]
    binaries = [
        Path(sys.executable).resolve(),
        Path("/bin/sh"),
        *library.glob("lib-dynload/*.so"),
        *packages.glob("numpy/**/*.so"),
    ]
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        archive.add(library, home, filter=without_tests)
        for folder in packages.glob("numpy*"):
            archive.add(folder, f"{home}/site-packages/{folder.name}", filter=without_tests)
        archive.add(binaries[0], f"usr/local/bin/python{sys.version_info.major}")
        archive.add(Path("/bin/sh").resolve(), "bin/sh")
        for path in shared_libraries(binaries):
            archive.add(
                Path(path).resolve(), path.lstrip("/") if path.startswith("/lib") else f"usr/lib/{Path(path).name}"
            )
    return data.getvalue()


def without_tests(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Leave out what no reward process needs."""
    parts = set(Path(member.name).parts[4:] if "numpy" not in member.name else ())
    left_out = parts & set(LEFT_OUT) or any(part.startswith("config-") for part in parts) or "/tests" in member.name
    return None if left_out else member


def shared_libraries(binaries: tuple[Path, ...]) -> set[str]:
    """Return the paths of all libraries that the binaries are linked with, but those that NumPy brings."""
    found: set[str] = set()
    listing = subprocess.run(["ldd", *map(str, binaries)], capture_output=True, text=True, check=False).stdout
    for match in re.finditer(r"(?:=> |^\t)(/\S+) \(0x", listing, re.MULTILINE):
        if "numpy.libs" not in match[1]:
            found.add(match[1])
    return found


def unmount_below(folder: str) -> None:
    """Unmount what an engine left mounted."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted((mount for mount in mounts if mount.startswith(folder)), reverse=True):
        subprocess.run(["umount", "-l", mount], check=False)


if __name__ == "__main__":
    sys.exit(main())
