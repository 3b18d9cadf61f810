"""Run a module of ours on what a stranger made, in a child process that can do no harm: ``python -m edge.sandbox SPEC MODULE ARGS…``.

A network's file is a program for its runtime, and runtimes are large. So a file that nobody has tried yet is loaded where it can only
answer: with limits on time, CPU and memory, without network, other processes or a file opened for writing. The child walls itself in
before it imports anything of the module, with what the kernel offers:

- rlimits (getrlimit(2)): CPU time, data memory, no file may grow, no core.
- seccomp (seccomp(2)): system calls that reach the network, start processes, change files or touch other processes fail.
- Landlock (landlock(7)): only Python, the system's libraries and the files that the caller names can be read. Kernels before 5.13, or
  built without it, lack this wall; ``walls`` tells.

The child's one way to say anything is its standard output, which the caller must read as what a stranger said.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import runpy
import selectors
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

HOME = Path(__file__).resolve().parents[1]
"""Where children run: ``python -m`` puts its working directory before everything else that can be imported, so it must be the one that
holds this very package, and not whatever directory the user stands in."""

_NOT_CONFINED = os.EX_OSERR  # exit status of a child that could not put up its walls
_ERROR_BYTES = 1 << 16  # of standard error that are kept: its last lines are the reason
_CHUNK = 1 << 16
_ASK_EVERY_S = 0.25
_KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "LD_LIBRARY_PATH", "TZ")
_KEPT_PREFIXES = ("OPENBLAS_", "OMP_", "MKL_", "MALLOC_", "GLIBC_", "OPENCV_IO_")
_OUT_OF_MEMORY = ("MemoryError", "bad_alloc", "allocate memory", "Failed to allocate", "not enough memory", "out of memory")


class SandboxError(Exception):
    """The child did not answer. ``reason``: why, in words that end a sentence such as "FILE cannot be loaded: …"."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotConfinedError(SandboxError):
    """No child can be had on this machine, or it could not put up its walls: nothing of the module ran."""


class StoppedError(SandboxError):
    """The answer was not wanted any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """``seconds`` of wall clock and ``cpu_seconds`` over all threads, until the child is killed; ``memory_bytes`` of data (heap and
    private mappings; None: no limit); ``output_bytes`` that it may print."""

    seconds: float
    cpu_seconds: int
    memory_bytes: int | None
    output_bytes: int = 1 << 20


class _Spec(msgspec.Struct, frozen=True):
    """What the child is told of its walls."""

    cpu_seconds: int
    memory_bytes: int | None
    readable: tuple[str, ...]


def run_module(
    module: str,
    args: Sequence[str] = (),
    *,
    stdin: bytes = b"",
    readable: Sequence[Path] = (),
    limits: Limits,
    niceness: int = 0,
    stopped: Callable[[], bool] = lambda: False,
) -> bytes:
    """What ``python -m module args`` prints in a confined child that is given ``stdin``.

    Args:
        module: one of ours; it runs with the full walls from its first import on.
        args: shown by ``ps`` to everybody on the machine: nothing secret.
        stdin: handed over as its standard input.
        readable: files and directories that it may read besides Python and the system's libraries.
        limits: how long, and how much of everything.
        niceness: 0 to 19, added to our own.
        stopped: asked a few times a second whether the answer is still wanted.

    Raises:
        SandboxError: it took or printed too much, ended otherwise than with exit status 0, or could not be confined.
    """
    spec = _Spec(limits.cpu_seconds, limits.memory_bytes, tuple(str(path.resolve()) for path in readable))
    line = ["-m", "edge.sandbox", msgspec.json.encode(spec).decode(), module, *args]
    return run_python(line, stdin=stdin, env=environment(), limits=limits, niceness=niceness, stopped=stopped)


def run_python(
    args: Sequence[str],
    *,
    stdin: bytes = b"",
    env: dict[str, str] | None = None,
    limits: Limits,
    niceness: int = 0,
    stopped: Callable[[], bool] = lambda: False,
) -> bytes:
    """What ``python args`` prints, without walls: only its time and its output are limited, and it has our environment without ``env``.
    Raises as ``run_module``."""
    line = [*(["nice", "-n", str(niceness)] if niceness else []), sys.executable, *args]
    pipe = subprocess.PIPE
    try:
        child = subprocess.Popen(line, stdin=pipe, stdout=pipe, stderr=pipe, cwd=HOME, env=env)
    except OSError as error:
        raise NotConfinedError(f"no process can be started: {error.strerror or error}") from error
    with child:
        try:
            out, err = _talk(child, stdin, limits, stopped)
        except BaseException:
            child.kill()
            raise
    if child.returncode != 0:
        kind = NotConfinedError if child.returncode == _NOT_CONFINED else SandboxError
        raise kind(_ended(child.returncode, err, limits))
    return out


def environment() -> dict[str, str]:
    """Of ours only what a child computes with: variables may hold secrets."""
    return {k: v for k, v in os.environ.items() if k in _KEPT_VARIABLES or k.startswith(_KEPT_PREFIXES)}


def _ended(returncode: int, err: bytes, limits: Limits) -> str:
    """Why a child ended so, from its status and standard error."""
    text = err.decode(errors="replace").strip()
    if returncode == -signal.SIGXCPU:
        return f"took more than {limits.cpu_seconds:,} s of CPU time"
    if limits.memory_bytes is not None and any(words in text for words in _OUT_OF_MEMORY):
        return f"wanted more than {limits.memory_bytes // 1_000_000:,} MB of memory"
    if returncode < 0:
        with suppress(ValueError):
            return f"its process was ended by {signal.Signals(-returncode).name}"
    last = (text.splitlines() or ["without a message"])[-1]
    return f"its process ended with {returncode}: {last[:400]}"


def walls() -> tuple[str, ...]:
    """What confines a child on this machine: of "limits", "seccomp", "landlock"."""
    found = ["limits"]
    if _has_seccomp():
        found.append("seccomp")
    if _landlock_abi() > 0:
        found.append("landlock")
    return tuple(found)


def _talk(child: subprocess.Popen[bytes], stdin: bytes, limits: Limits, stopped: Callable[[], bool]) -> tuple[bytes, bytes]:
    """Feed the child and listen until it has closed both its outputs and ended. Raises SandboxError."""
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stderr is not None
    deadline = time.monotonic() + limits.seconds
    out, err, left = bytearray(), bytearray(), memoryview(stdin)
    with selectors.DefaultSelector() as pipes, _end_of(child) as end:
        os.set_blocking(child.stdin.fileno(), False)
        pipes.register(child.stdin, selectors.EVENT_WRITE)
        pipes.register(child.stdout, selectors.EVENT_READ)
        pipes.register(child.stderr, selectors.EVENT_READ)
        pipes.register(end, selectors.EVENT_READ)
        listening = 3
        while listening:
            wait = deadline - time.monotonic()
            if wait <= 0:
                raise SandboxError(f"took longer than {limits.seconds:g} s")
            if stopped():
                raise StoppedError("was stopped")
            for key, _ in pipes.select(min(wait, _ASK_EVERY_S)):
                if key.fileobj is child.stdin:
                    with suppress(BlockingIOError, BrokenPipeError):
                        left = left[os.write(child.stdin.fileno(), left[:_CHUNK]) :] if left else left
                        if left:
                            continue
                    pipes.unregister(child.stdin)
                    with suppress(BrokenPipeError):
                        child.stdin.close()
                    continue
                got = b"" if key.fileobj is end else os.read(key.fd, _CHUNK)
                if not got:
                    pipes.unregister(key.fileobj)
                    listening -= 1
                elif key.fileobj is child.stdout:
                    out += got
                    if len(out) > limits.output_bytes:
                        raise SandboxError(f"answered with more than {limits.output_bytes:,} bytes")
                else:
                    err = (err + got)[-_ERROR_BYTES:]
    child.wait()
    return bytes(out), bytes(err)


@contextmanager
def _end_of(child: subprocess.Popen[bytes]) -> Iterator[int]:
    """A descriptor that can be read from once the child has ended (pidfd_open(2))."""
    handle = os.pidfd_open(child.pid)
    try:
        yield handle
    finally:
        os.close(handle)


# ---- the child's side -------------------------------------------------------------------------------------------------------------


def main(argv: list[str]) -> None:
    """Entry point of the child: put up the walls, then run the module as ``python -m`` would."""
    spec = msgspec.json.decode(argv[0], type=_Spec)
    module, *args = argv[1:]
    try:
        confine(spec.readable, cpu_seconds=spec.cpu_seconds, memory_bytes=spec.memory_bytes)
    except OSError as error:
        print(f"it cannot be confined here: {error}", file=sys.stderr)  # noqa: T201 - to the process that started it
        raise SystemExit(_NOT_CONFINED) from error
    tempfile.tempdir = str(HOME)  # some libraries ask where it is, and would find none that can be written
    sys.argv = [module, *args]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def confine(readable: Sequence[str] = (), *, cpu_seconds: int, memory_bytes: int | None) -> None:
    """Wall this process in, for good. Must come before threads, and before anything that a stranger made.

    A wall that this kernel does not have is left out (see ``walls``); one that it has and that cannot be put up ends the process.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    _prctl(libc, _PR_SET_PDEATHSIG, signal.SIGKILL)  # whose parent was killed computes for nobody
    _prctl(libc, _PR_SET_NO_NEW_PRIVS, 1)
    _limit(resource.RLIMIT_CPU, cpu_seconds, cpu_seconds + 1)  # at the first SIGXCPU, which says why
    _limit(resource.RLIMIT_FSIZE, 0, 0)
    _limit(resource.RLIMIT_CORE, 0, 0)
    if memory_bytes is not None:
        _limit(resource.RLIMIT_DATA, memory_bytes, memory_bytes)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then a write fails with EFBIG, in words
    if _landlock_abi() > 0:
        _restrict_files(libc, [*_python_places(), *_SYSTEM_PLACES, *readable])
    if _has_seccomp():
        _restrict_calls(libc)


def _limit(which: int, soft: int, hard: int) -> None:
    """Never above what the process has been given, which it could not raise."""
    given = resource.getrlimit(which)[1]
    most = hard if given == resource.RLIM_INFINITY else min(hard, given)
    resource.setrlimit(which, (min(soft, most), most))


_PR_SET_PDEATHSIG, _PR_GET_SECCOMP, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 21, 22, 38
_SECCOMP_MODE_FILTER = 2

_SYSTEM_PLACES = (
    *("/usr", "/lib", "/lib64", "/opt/nvidia", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime"),
    *("/proc", "/sys/devices/system", "/sys/fs/cgroup", "/dev/null", "/dev/urandom", "/dev/random"),
)


def _python_places() -> list[str]:
    return [sys.prefix, sys.base_prefix, sys.exec_prefix, str(HOME), *filter(None, sys.path)]


def _prctl(libc: ctypes.CDLL, option: int, *values: object) -> None:
    if libc.prctl(option, *values, *[0] * (4 - len(values))) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option})")


# Landlock: linux/landlock.h; the calls have the same numbers on every architecture.
_LANDLOCK_CREATE_RULESET, _LANDLOCK_ADD_RULE, _LANDLOCK_RESTRICT_SELF = 444, 445, 446
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_FS_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}
"""ABI version → how many of the lowest bits are rights over files that it knows."""


def _landlock_abi() -> int:
    """The kernel's version of Landlock; 0 without it."""
    return max(0, int(ctypes.CDLL(None).syscall(_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), 1)))


def _restrict_files(libc: ctypes.CDLL, places: Sequence[str]) -> None:
    abi = _landlock_abi()
    rights = (1 << max(bits for version, bits in _FS_RIGHTS.items() if version <= abi)) - 1
    fields = [rights]
    if abi >= 4:
        fields.append(0b11)  # bind and connect over TCP
    if abi >= 6:
        fields.append(0b11)  # abstract sockets and signals
    attribute = struct.pack(f"={len(fields)}Q", *fields)
    ruleset = libc.syscall(_LANDLOCK_CREATE_RULESET, attribute, ctypes.c_size_t(len(attribute)), 0)
    if ruleset < 0:
        raise OSError(ctypes.get_errno(), "landlock_create_ruleset")
    for place in places:
        try:
            handle = os.open(place, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue
        allowed = _READ_FILE | _READ_DIR if Path(place).is_dir() else _READ_FILE
        rule = struct.pack("=Qi", allowed, handle)
        failed = libc.syscall(_LANDLOCK_ADD_RULE, ruleset, 1, rule, 0)
        os.close(handle)
        if failed:
            raise OSError(ctypes.get_errno(), f"landlock_add_rule({place})")
    if libc.syscall(_LANDLOCK_RESTRICT_SELF, ruleset, 0):
        raise OSError(ctypes.get_errno(), "landlock_restrict_self")
    os.close(ruleset)


_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # linux/audit.h
_REFUSED_CALLS: dict[str, tuple[int | None, int | None]] = {
    # network
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201),
    "accept": (43, 202), "accept4": (288, 242), "sendto": (44, 206), "sendmsg": (46, 211), "sendmmsg": (307, 269),
    # other processes, and what reaches everything at once
    "fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281), "ptrace": (101, 117),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272), "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424), "process_madvise": (440, 440), "tkill": (200, 130),
    "sched_setscheduler": (144, 119), "sched_setparam": (142, 118), "sched_setattr": (314, 274), "ioprio_set": (251, 30),
    "migrate_pages": (256, 238), "move_pages": (279, 239),
    "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240), "setrlimit": (160, 164), "setpriority": (141, 140),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "bpf": (321, 280),
    "perf_event_open": (298, 241), "userfaultfd": (323, 282), "keyctl": (250, 219), "add_key": (248, 217),
    "request_key": (249, 218), "personality": (135, 92),
    # memory beyond the limit
    "shmget": (29, 194), "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180), "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    # files, by name or by handle
    "creat": (85, None), "rename": (82, None), "renameat": (264, 38), "renameat2": (316, 276), "unlink": (87, None),
    "unlinkat": (263, 35), "rmdir": (84, None), "mkdir": (83, None), "mkdirat": (258, 34), "mknod": (133, None),
    "mknodat": (259, 33), "link": (86, None), "linkat": (265, 37), "symlink": (88, None), "symlinkat": (266, 36),
    "truncate": (76, 45), "fallocate": (285, 47), "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53),
    "fchmodat2": (452, 452), "chown": (92, None), "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54),
    "utime": (132, None), "utimes": (235, None), "futimesat": (261, None), "utimensat": (280, 88), "setxattr": (188, 5),
    "lsetxattr": (189, 6), "fsetxattr": (190, 7), "removexattr": (197, 14), "lremovexattr": (198, 15),
    "fremovexattr": (199, 16), "setxattrat": (463, 463), "removexattrat": (466, 466), "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265), "fanotify_init": (300, 262),
    # the system
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "unshare": (272, 97),
    "setns": (308, 268), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431),
    "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442), "open_tree_attr": (467, 467),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106), "kexec_load": (246, 104),
    "kexec_file_load": (320, 294), "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "clock_adjtime": (305, 266), "adjtimex": (159, 171),
    "sethostname": (170, 161), "setdomainname": (171, 162), "acct": (163, 89), "quotactl": (179, 60), "syslog": (103, 116),
    "ioperm": (173, None), "iopl": (172, None), "modify_ldt": (154, None),
}  # fmt: skip
"""System call → its number on (x86_64, aarch64): the kernel's tables arch/x86/entry/syscalls/syscall_64.tbl and
include/uapi/asm-generic/unistd.h. Each fails with EPERM."""
_NOT_THERE = {"clone3": (435, 435), "openat2": (437, 437)}
"""Their arguments lie in memory, where a filter cannot look. With ENOSYS the C library takes the older call."""
_CLONE, _OPEN, _OPENAT = (56, 220), (2, None), (257, 56)
_KILL, _TGKILL, _PRLIMIT64, _IOCTL = (62, 129), (234, 131), (302, 261), (16, 29)
_FCNTL, _SETAFFINITY, _MMAP = (72, 25), (203, 122), (9, 222)
_CLONE_THREAD = 0x00010000
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C  # put keystrokes into a terminal
_F_SETOWN, _F_SETSIG, _F_SETOWN_EX = 8, 10, 15  # which process a pipe sends which signal: SIGKILL to the parent, too
_MAP_SHARED, _MAP_ANONYMOUS, _MAP_GROWSDOWN = 0x01, 0x20, 0x100
_CHANGING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC

_LOAD, _JEQ, _JGE, _JSET, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # linux/bpf_common.h
_NR_AT, _ARCH_AT, _ARGS_AT = 0, 4, 16  # struct seccomp_data
_ALLOW, _ERRNO, _KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000
_X32_BIT = 0x40000000


def _has_seccomp() -> bool:
    """Whether there is a filter for this machine, and a kernel that takes it (an emulator's does not)."""
    return platform.machine() in _AUDIT_ARCH and ctypes.CDLL(None).prctl(_PR_GET_SECCOMP, 0, 0, 0, 0) >= 0


def _restrict_calls(libc: ctypes.CDLL) -> None:
    lines = _filter(platform.machine(), os.getpid())
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in lines))
    program = struct.pack("@HP", len(lines), ctypes.addressof(code))
    _prctl(libc, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, program)


_Line = tuple[int, int, int, int]


def _filter(machine: str, own_pid: int) -> list[_Line]:
    """The BPF program: (operation, jump if true, jump if false, operand) a line."""
    column = list(_AUDIT_ARCH).index(machine)
    refused = [(_RETURN, 0, 0, _ERRNO | errno.EPERM)]
    lines = [(_LOAD, 0, 0, _ARCH_AT), (_JEQ, 1, 0, _AUDIT_ARCH[machine]), (_RETURN, 0, 0, _KILL_PROCESS), (_LOAD, 0, 0, _NR_AT)]
    if machine == "x86_64":
        lines += [(_JGE, 0, 1, _X32_BIT), (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)]
    for numbers in _REFUSED_CALLS.values():
        lines += _if_call(numbers[column], refused)
    for numbers in _NOT_THERE.values():
        lines += _if_call(numbers[column], [(_RETURN, 0, 0, _ERRNO | errno.ENOSYS)])
    no_write = [(_JSET, 0, 1, _CHANGING), (_RETURN, 0, 0, _ERRNO | errno.EACCES), (_RETURN, 0, 0, _ALLOW)]
    owners = [line for command in (_F_SETOWN, _F_SETSIG, _F_SETOWN_EX) for line in ((_JEQ, 0, 1, command), *refused)]
    own_only = [_argument(0), (_JEQ, 1, 0, own_pid), *refused, (_RETURN, 0, 0, _ALLOW)]
    return [
        *lines,
        *_if_call(_OPEN[column], [_argument(1), *no_write]),
        *_if_call(_OPENAT[column], [_argument(2), *no_write]),
        *_if_call(_CLONE[column], [_argument(0), (_JSET, 1, 0, _CLONE_THREAD), *refused, (_RETURN, 0, 0, _ALLOW)]),
        *_if_call(_KILL[column], own_only),
        *_if_call(_TGKILL[column], own_only),
        *_if_call(_FCNTL[column], [_argument(1), *owners, (_RETURN, 0, 0, _ALLOW)]),
        *_if_call(_SETAFFINITY[column], [_argument(0), (_JEQ, 1, 0, 0), *refused, (_RETURN, 0, 0, _ALLOW)]),
        # RLIMIT_DATA does not count what is shared or grows like a stack
        *_if_call(
            _MMAP[column],
            [
                _argument(3),
                *((_JSET, 0, 1, _MAP_GROWSDOWN), *refused),
                *((_JSET, 0, 2, _MAP_SHARED), (_JSET, 0, 1, _MAP_ANONYMOUS), *refused),
                (_RETURN, 0, 0, _ALLOW),
            ],
        ),
        # prlimit64 without a new limit only asks: both halves of the pointer are zero
        *_if_call(
            _PRLIMIT64[column],
            [_argument(2), (_JEQ, 0, 2, 0), _argument(2, high=True), (_JEQ, 1, 0, 0), *refused, (_RETURN, 0, 0, _ALLOW)],
        ),
        *_if_call(
            _IOCTL[column], [_argument(1), (_JEQ, 1, 0, _TIOCSTI), (_JEQ, 0, 1, _TIOCLINUX), *refused, (_RETURN, 0, 0, _ALLOW)]
        ),
        (_RETURN, 0, 0, _ALLOW),
    ]


def _if_call(number: int | None, lines: list[_Line]) -> list[_Line]:
    return [] if number is None else [(_JEQ, 0, len(lines), number), *lines]


def _argument(index: int, *, high: bool = False) -> _Line:
    """Load the lower (or higher) half of an argument; both machines are little-endian."""
    return (_LOAD, 0, 0, _ARGS_AT + 8 * index + 4 * high)


if __name__ == "__main__":
    main(sys.argv[1:])
