"""Cases against the seal: system calls and memory."""

from __future__ import annotations

from fakes.sandbox_case import (
    NO_PROCESS,
    NUMBERS,
    OPEN,
    OUT_OF_MEMORY,
    Refused,
    Scored,
    attack,
    system_call,
)

from rewardsmith.sandbox.inside import seccomp_filter as policy

READING = (
    attack("open a file", "real.open(canary)", OPEN),
    attack("open a file for writing", "real.open(canary, 'w')", OPEN),
    attack("make a file in /dev/shm", "real.open('/dev/shm/rewardsmith-canary', 'w')", OPEN),
    attack("open /proc/self/environ", "posix.open('/proc/self/environ', 0)", OPEN),
    attack("open the parent's /proc", "posix.open('/proc/1/mem', 0)", OPEN),
    attack("list a folder", "posix.listdir('/')", OPEN),
    attack("stat", "posix.stat(canary)", Refused("killed", r"system call \((newfstatat|stat)\)")),
    attack("access", "posix.access(canary, 4)", Refused("killed", r"system call \((access|faccessat2?)\)")),
    attack("readlink", "posix.readlink('/proc/self/exe')", Refused("killed", r"system call \(readlink(at)?\)")),
    attack("getcwd", "posix.getcwd()", Refused("killed", "getcwd")),
    attack("read descriptor 3", "posix.read(3, 1)", Refused("killed", r"system call \(read\)")),
    attack("import a module from disk", "real.__import__('subprocess')", Refused("error", "ModuleNotFoundError")),
    attack(
        "an environment variable", "raise KeyError(str(dict(posix.environ)))", Refused("error", r"KeyError: '\{\}'")
    ),
    system_call("statx", "-100, b'/', 0, 0, 0"),
    system_call("getdents64", "0, 0, 0"),
    system_call("pread64", "0, 0, 1, 0"),
    system_call("lseek", "0, 0, 0"),
    system_call("fstat", "0, 0"),
    system_call("fcntl", "0, 3, 0"),
    system_call("ioctl", "0, 0x541B, 0"),
    system_call("dup", "0"),
    system_call("close", "0"),
    system_call("uname", "0"),
    system_call("sysinfo", "0"),
    system_call("getpid", "0"),
    system_call("getppid", "0"),
    system_call("getuid", "0"),
    system_call("getrandom", "0, 0, 0"),
)
"""Reads nothing."""

WRITING = (
    attack("truncate", "posix.truncate(canary, 0)", Refused("killed", r"system call \(truncate\)")),
    attack("chmod", "posix.chmod(canary, 0)", Refused("killed", r"system call \(f?chmod(at)?2?\)")),
    attack("unlink", "posix.unlink(canary)", Refused("killed", r"system call \(unlink(at)?\)")),
    attack("rename", "posix.rename(canary, canary + '2')", Refused("killed", r"system call \(rename(at)?2?\)")),
    attack("link", "posix.link(canary, canary + '2')", Refused("killed", r"system call \(link(at)?\)")),
    attack(
        "symlink", "posix.symlink('/', '/tmp/rewardsmith-link')", Refused("killed", r"system call \(symlink(at)?\)")
    ),
    attack("mkdir", "posix.mkdir('/tmp/rewardsmith-folder')", Refused("killed", r"system call \(mkdir(at)?\)")),
    attack("mkfifo", "posix.mkfifo('/tmp/rewardsmith-fifo')", Refused("killed", r"system call \(mknod(at)?\)")),
    attack("chdir", "posix.chdir('/')", Refused("killed", r"system call \(chdir\)")),
    attack("write to stderr", "posix.write(2, b'hello')", Refused("error", "Bad file descriptor")),
    attack("write to descriptor 3", "posix.write(3, b'hello')", Refused("killed", r"system call \(write\)")),
    system_call("pwrite64", "1, b'a', 1, 0"),
    system_call("writev", "1, 0, 0"),
    system_call("sendfile", "1, 0, 0, 1"),
    system_call("splice"),
    system_call("copy_file_range"),
    system_call("ftruncate", "1, 0"),
    system_call("fallocate", "1, 0, 0, 1"),
    system_call("sync", "0"),
    system_call("utimensat", "-100, b'/tmp', 0, 0"),
    system_call("setxattr"),
    system_call("inotify_init1", "0"),
    system_call("fanotify_init", "0, 0"),
)
"""Writes nothing."""

REACHING = (
    attack("socket of Python", "sys.modules['_socket'].socket()", Refused("killed", r"system call \(socket\)")),
    system_call("socket", "2, 1, 0", "TCP socket"),
    system_call("socket", "10, 1, 0", "TCP socket, IPv6"),
    system_call("socket", "2, 2, 0", "UDP socket"),
    system_call("socket", "1, 1, 0", "unix socket"),
    system_call("socket", "16, 3, 0", "netlink socket"),
    system_call("socket", "17, 3, 0", "packet socket"),
    system_call("socketpair", "1, 1, 0, 0"),
    system_call("bind", "0, 0, 0"),
    system_call("listen", "0, 1"),
    system_call("accept4", "0, 0, 0, 0"),
    system_call("connect", "0, 0, 0"),
    system_call("sendto", "1, b'a', 1, 0, 0, 0"),
    system_call("sendmsg", "1, 0, 0"),
    system_call("recvmsg", "0, 0, 0"),
    attack("kill every process", "posix.kill(-1, 9)", Refused("killed", r"system call \(kill\)")),
    attack("kill the parent", "posix.kill(1, 9)", Refused("killed", r"system call \(kill\)")),
    system_call("tgkill", "1, 1, 9"),
    system_call("tkill", "1, 9"),
    system_call("rt_sigqueueinfo", "1, 9, 0"),
    system_call("ptrace", "16, 1, 0, 0"),
    system_call("process_vm_readv", "1, 0, 0, 0, 0, 0"),
    system_call("process_vm_writev", "1, 0, 0, 0, 0, 0"),
    system_call("process_madvise", "0, 0, 0, 0, 0"),
    system_call("process_mrelease", "0, 0"),
    system_call("pidfd_open", "1, 0"),
    system_call("pidfd_getfd", "0, 0, 0"),
    system_call("pidfd_send_signal", "0, 9, 0, 0"),
    system_call("kcmp", "1, 1, 0, 0, 0"),
    system_call("prlimit64", "1, 7, 0, 0"),
    system_call("setrlimit", "9, 0"),
    system_call("setpriority", "0, 1, 19"),
    system_call("sched_setaffinity", "1, 0, 0"),
    system_call("sched_setscheduler", "1, 0, 0"),
    system_call("ioprio_set", "1, 1, 0"),
    system_call("setpgid", "0, 0"),
    system_call("shmget", "0, 4096, 0o1777"),
    system_call("msgget", "0, 0o1777"),
    system_call("semget", "0, 1, 0o1777"),
    system_call("mq_open", "b'a', 0o102, 0o777, 0"),
    system_call("memfd_create", "b'a', 0"),
    system_call("memfd_secret", "0"),
)
"""Reaches nothing: no network, no other process, no shared memory."""

OUTLIVING = (
    attack("fork", "posix.fork()", NO_PROCESS),
    attack("thread", "sys.modules['_thread'].start_new_thread(print, ())", NO_PROCESS),
    attack("exec", "posix.execv('/bin/sh', ['sh'])", Refused("killed", r"system call \(execve\)")),
    attack("shell", "posix.system('true')", Refused("killed", r"system call \(\w+\)")),
    attack("load a library", "ctypes.CDLL('/lib/libutil.so.1')", Refused("error", "OSError: .*Permission denied")),
    system_call("fork", ""),
    system_call("vfork", ""),
    system_call("clone", "17, 0, 0, 0, 0"),
    system_call("clone3", "0, 0"),
    system_call("execve", "b'/bin/sh', 0, 0"),
    system_call("execveat", "0, b'', 0, 0, 0x1000", "execute a descriptor"),
    system_call("setsid", ""),
    system_call("alarm", "1"),
    system_call("setitimer", "0, 0, 0"),
    system_call("timer_create", "0, 0, 0"),
    system_call("rt_sigaction", "31, 0, 0, 8", "replace the handler of refused calls"),
    system_call("rt_sigprocmask", "0, 0, 0, 8"),
    system_call("prctl", "1, 0, 0, 0, 0", "drop the signal of the parent's death"),
)
"""Outlives nothing: no process, no thread, no other program."""

PRIVILEGES = (
    system_call("mount", "0, b'/', b'tmpfs', 0, 0"),
    system_call("umount2", "b'/', 2"),
    system_call("pivot_root", "b'/', b'/'"),
    system_call("fsopen", "b'tmpfs', 0"),
    system_call("open_tree", "-100, b'/', 1"),
    system_call("open_by_handle_at", "0, 0, 0"),
    system_call("chroot", "b'/'"),
    system_call("unshare", "0x10000000"),
    system_call("setns", "0, 0"),
    system_call("setuid", "0"),
    system_call("setgid", "0"),
    system_call("setresuid", "0, 0, 0"),
    system_call("setgroups", "0, 0"),
    system_call("capset", "0, 0"),
    system_call("seccomp", "1, 0, 0"),
    system_call("landlock_create_ruleset", "0, 0, 1"),
    system_call("personality", "0xffffffff"),
    system_call("io_uring_setup", "1, 0"),
    system_call("io_uring_enter", "0, 0, 0, 0, 0, 0"),
    system_call("io_setup", "1, 0"),
    system_call("bpf", "0, 0, 0"),
    system_call("perf_event_open", "0, 0, -1, -1, 0"),
    system_call("userfaultfd", "0"),
    system_call("keyctl", "0, 0, 0, 0, 0"),
    system_call("add_key", "0, 0, 0, 0, 0"),
    system_call("request_key", "0, 0, 0, 0"),
    system_call("init_module", "0, 0, 0"),
    system_call("finit_module", "0, 0, 0"),
    system_call("kexec_load", "0, 0, 0, 0"),
    system_call("reboot", "0, 0, 0, 0"),
    system_call("syslog", "3, 0, 0"),
    system_call("sethostname", "b'a', 1"),
    system_call("settimeofday", "0, 0"),
    system_call("iopl", "3"),
    system_call("modify_ldt", "0, 0, 0"),
    system_call("quotactl", "0, 0, 0, 0"),
    system_call("acct", "0"),
    system_call("swapon", "b'/', 0"),
)
"""Gains nothing: no namespace, no user, none of the kernel's large interfaces."""

_WRITEABLE, _PRIVATE, _SHARED, _ANONYMOUS = 3, 2, 1, 0x20
MEMORY = (
    system_call("mmap", f"0, 4096, 7, {_PRIVATE | _ANONYMOUS}, -1, 0", "executable memory"),
    system_call("mmap", f"0, 4096, {_WRITEABLE}, {_SHARED}, 0, 0", "map a descriptor"),
    system_call("mprotect", "id(reward) & ~4095, 4096, 7", "make memory executable"),
    system_call("pkey_mprotect", "0, 0, 0, 0"),
    system_call("remap_file_pages", "0, 0, 0, 0, 0"),
    system_call("madvise", "0, 0, 100", "poison memory"),
    system_call("futex", "0, 6, 0, 0, 0, 0", "futex with priority inheritance"),
    system_call("mlock", "0, 0"),
    attack("an array of a terabyte", "np.ones(2**37)", OUT_OF_MEMORY),
    attack("a list of 2**40", "[0] * 2**40", OUT_OF_MEMORY),
    attack("a string that doubles", "s = 'x'\nwhile True:\n    s += s", OUT_OF_MEMORY),
    attack("many small objects", "x = []\nwhile True:\n    x = [x, x.copy(), bytes(10_000)]", OUT_OF_MEMORY),
    attack("keep everything", "x = []\nwhile True:\n    x.append(np.ones(100_000))", OUT_OF_MEMORY),
    attack("catch the lack of memory", "try:\n    np.ones(2**37)\nexcept MemoryError:\n    pass", Scored()),
)
"""Takes no more memory than it may, and executes none."""

CASES = (*READING, *WRITING, *REACHING, *OUTLIVING, *PRIVILEGES, *MEMORY)

_LISTED = {rule.name for rule in (*policy.ALLOWED, *policy.DENIED)}
SWEEP = tuple(system_call(call) for call in NUMBERS if call not in _LISTED)
"""Every other system call that the machine has a number for."""
