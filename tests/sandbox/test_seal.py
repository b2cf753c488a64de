"""The seal: the filter's program, instruction by instruction, and the refusal if a layer is missing."""

from __future__ import annotations

import errno
import os
import platform
import struct
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from fakes.sandbox_backends import LAYOUT

from rewardsmith.contract.errors import SandboxUnavailable
from rewardsmith.contract.records import Limits
from rewardsmith.contract.reward_program import parse_program
from rewardsmith.sandbox import check_sandbox, open_process
from rewardsmith.sandbox.inside import seccomp_filter as policy
from rewardsmith.sandbox.inside.syscalls import TABLES

MACHINES = tuple(TABLES)
NAMES = {rule.name for rule in policy.ALLOWED}
SOFTLY = {rule.name for rule in policy.DENIED}


def run(program: bytes, arch: int, number: int, arguments: tuple[int, ...] = (0,) * 6) -> int:
    """Interpret a filter as the kernel does, for one system call, and return the verdict."""
    data = struct.pack("<iIQ6Q", number, arch, 0, *arguments)
    accumulator = at = 0
    while True:
        code, if_true, if_false, k = struct.unpack_from("<HBBI", program, 8 * at)
        at += 1
        if code == policy.LOAD:
            accumulator = struct.unpack_from("<I", data, k)[0]
        elif code == policy.AND:
            accumulator &= k
        elif code in (policy.EQUALS, policy.AT_LEAST):
            holds = accumulator == k if code == policy.EQUALS else accumulator >= k
            at += if_true if holds else if_false
        else:
            assert code == policy.RETURN, hex(code)
            return int(k)


def verdict(machine: str, call: str, *arguments: int) -> int:
    padded = (*arguments, *[0] * (6 - len(arguments)))
    return run(policy.assemble_filter(machine), policy.AUDIT_ARCH[machine], TABLES[machine][call], padded)


@pytest.mark.parametrize("machine", MACHINES)
def test_every_number_that_is_not_on_the_list_is_trapped(machine: str) -> None:
    program = policy.assemble_filter(machine)
    listed = {TABLES[machine][name] for name in NAMES | SOFTLY}
    for number in set(range(1024)) - listed:
        assert run(program, policy.AUDIT_ARCH[machine], number) == policy.TRAP, number


@pytest.mark.parametrize("machine", MACHINES)
def test_another_architecture_is_killed(machine: str) -> None:
    program = policy.assemble_filter(machine)
    for arch in (0x40000003, 0x40000028, policy.AUDIT_ARCH[next(other for other in MACHINES if other != machine)]):
        for number in range(500):
            assert run(program, arch, number) == policy.KILL


def test_the_second_set_of_numbers_of_x86_64_is_killed() -> None:
    program = policy.assemble_filter("x86_64")
    for number in range(600):
        assert run(program, policy.AUDIT_ARCH["x86_64"], policy.X32_BIT | number) == policy.KILL
    assert run(program, policy.AUDIT_ARCH["x86_64"], -1) == policy.KILL


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("call", sorted(NAMES - {"read", "write", "mmap", "mprotect", "madvise", "futex"}))
def test_a_call_without_checks_passes(machine: str, call: str) -> None:
    assert verdict(machine, call, *[0xFFFFFFFFFFFFFFFF] * 6) == policy.ALLOW


PRIVATE, SHARED, ANONYMOUS = 2, 1, 0x20


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(
    ("call", "arguments", "passes"),
    [
        ("read", (0,), True),
        ("read", (1,), False),
        ("read", (3,), False),
        ("write", (1,), True),
        ("write", (2,), True),
        ("write", (0,), False),
        ("write", (3,), False),
        ("mmap", (0, 4096, 3, PRIVATE | ANONYMOUS), True),
        ("mmap", (0, 4096, 0, PRIVATE | ANONYMOUS), True),
        ("mmap", (0, 4096, 3, PRIVATE), False),
        ("mmap", (0, 4096, 3, SHARED), False),
        ("mmap", (0, 4096, 7, PRIVATE | ANONYMOUS), False),
        ("mmap", (0, 4096, 4, PRIVATE | ANONYMOUS), False),
        ("mprotect", (0, 4096, 3), True),
        ("mprotect", (0, 4096, 5), False),
        ("madvise", (0, 4096, policy.MADV_DONTNEED), True),
        ("madvise", (0, 4096, 100), False),
        ("futex", (0, 128), True),
        ("futex", (0, 137), True),
        ("futex", (0, 0x180 | 9), True),
        ("futex", (0, 6), False),
        ("futex", (0, 12), False),
    ],
)
def test_arguments_are_checked(machine: str, call: str, arguments: tuple[int, ...], passes: bool) -> None:
    assert verdict(machine, call, *arguments) == (policy.ALLOW if passes else policy.TRAP)


@pytest.mark.parametrize("machine", MACHINES)
def test_opening_a_file_is_denied_without_ending_the_process(machine: str) -> None:
    assert verdict(machine, "openat", 0, 0, 0, 0) == 0x50000 | errno.EACCES


@pytest.mark.parametrize("machine", MACHINES)
def test_the_filter_is_short_enough_for_the_kernel(machine: str) -> None:
    assert len(policy.assemble_filter(machine)) // policy.INSTRUCTION_BYTES < 4096


def test_the_numbers_are_those_of_this_machine() -> None:
    known = TABLES[platform.machine()]
    assert {"read", "write", "mmap", "openat", "ptrace", "io_uring_setup", "landlock_restrict_self"} <= set(known)
    libc = __import__("ctypes").CDLL(None)
    assert libc.syscall(known["getpid"]) == os.getpid()
    assert libc.syscall(known["getppid"]) == os.getppid()


def test_without_seccomp_nothing_is_run() -> None:
    """Where the kernel refuses the filter, the run refuses to start, and says what to do."""
    script = f"""
        import ctypes
        from rewardsmith.sandbox.inside import seccomp_filter as policy, seal
        from rewardsmith.sandbox.inside.syscalls import TABLES

        # A filter of this test's own: prctl(PR_SET_SECCOMP) fails with "invalid argument", as without seccomp.
        number = TABLES[{platform.machine()!r}]["prctl"]
        code = b"".join((
            policy._load_word(policy.NUMBER_AT), policy._jump_if(policy.EQUALS, number, 0, 3),
            policy._load_word(policy.ARGUMENTS_AT), policy._jump_if(policy.EQUALS, seal.PR_SET_SECCOMP, 0, 1),
            policy._return_verdict(0x50000 | {errno.EINVAL}), policy._return_verdict(policy.ALLOW),
        ))
        program = seal._FilterProgram(6, code)
        seal.libc.prctl(seal.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        assert seal.libc.prctl(seal.PR_SET_SECCOMP, 2, ctypes.byref(program), 0, 0) == 0

        from rewardsmith.contract.errors import SandboxUnavailable
        from rewardsmith.contract.reward_program import parse_program
        from rewardsmith.contract.records import Limits
        from rewardsmith.sandbox import ProgramLayout, open_process
        program = parse_program("def reward(action):\\n    return {{'a': 1.0}}")
        try:
            open_process(program, ProgramLayout({{}}, (1,)), Limits("local"))
        except SandboxUnavailable as error:
            print(error)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True)
    assert "cannot be sealed here: prctl(PR_SET_SECCOMP) failed: Invalid argument" in done.stdout
    assert "--sandbox docker" in done.stdout and "rewardsmith doctor" in done.stdout


def test_another_system_than_linux_is_told_to_use_docker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(SandboxUnavailable, match="darwin lacks; use --sandbox docker"):
        from rewardsmith.sandbox import Zygote

        Zygote()


def test_a_machine_that_cannot_seal_takes_docker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    with pytest.raises(SandboxUnavailable, match="no Docker engine answers"):
        open_process(parse_program("def reward(action):\n    return {'a': 1.0}"), LAYOUT, Limits("auto"))


def test_the_report_finds_the_seal_and_names_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    checks = {check.name: check for check in check_sandbox()}
    assert checks["seal"].ok
    assert next(iter(checks)) == "seal"
    assert not checks["docker"].ok and "DOCKER_HOST" in checks["docker"].fix
    assert all(check.fix for check in checks.values() if not check.ok)


def test_what_runs_behind_the_border_imports_nothing_of_the_rest() -> None:
    script = "import sys; sys.path.insert(0, sys.argv[1]); import inside.zygote, inside.container; print(*sys.modules)"
    command = [sys.executable, "-c", script, str(Path(policy.__file__).parents[1])]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    heavy = {"rewardsmith", "pydantic", "torch", "docker", "gymnasium", "requests"}
    assert not heavy & {name.partition(".")[0] for name in loaded}
