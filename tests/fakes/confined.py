"""What a child in the sandbox is asked to try: ``python -m tests.fakes.confined ATTEMPT ARGS…`` prints "done", or why it could not."""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path


def compute() -> object:
    """What a child is for: NumPy, threads, standard input."""
    import numpy as np

    made: list[int] = []
    thread = threading.Thread(target=lambda: made.append(int(np.ones(100).sum())))
    thread.start()
    thread.join()
    return made[0] + len(sys.stdin.buffer.read())


def _spin() -> None:
    while True:
        pass


def _raise_limit() -> None:
    resource.prlimit(0, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def _call(number: int, *args: object) -> None:
    """A system call that Python has no function for."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(number, *args) < 0:
        raise OSError(ctypes.get_errno(), f"system call {number}")


ATTEMPTS: dict[str, Callable[..., object]] = {
    "compute": compute,
    "read": lambda path: Path(path).read_text(encoding="utf-8"),
    "write": lambda path: Path(path).write_text("overwritten", encoding="utf-8"),
    "append": lambda path: os.open(path, os.O_WRONLY | os.O_APPEND),
    "truncate": lambda path: os.truncate(path, 0),
    "truncate-reading": lambda path: os.open(path, os.O_RDONLY | os.O_TRUNC),
    "openat2": lambda path: _call(437, -100, os.fsencode(path), (ctypes.c_uint64 * 3)(os.O_RDWR, 0, 0), ctypes.c_size_t(24)),
    "remove": os.unlink,
    "rename": lambda path: os.rename(path, path + ".moved"),
    "chmod": lambda path: os.chmod(path, 0o777),
    "link": lambda path: os.link(path, path + ".linked"),
    "touch": os.utime,
    "mkdir": lambda path: os.mkdir(path + ".d"),
    "connect": lambda port: socket.create_connection(("127.0.0.1", int(port))),
    "udp": lambda port: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", int(port))),
    "unix": lambda _: socket.socket(socket.AF_UNIX),
    "io_uring": lambda _: _call(425, 8, (ctypes.c_char * 120)()),
    "run": lambda _: subprocess.run(["/bin/true"], check=True),
    "fork": lambda _: os.fork(),
    "kill-parent": lambda _: os.kill(os.getppid(), signal.SIGTERM),
    "signal-0": lambda _: os.kill(os.getppid(), 0),
    "signal-by-pipe": lambda _: fcntl.fcntl(os.pipe()[0], fcntl.F_SETOWN, os.getppid()),
    "signal-by-pipe-thread": lambda _: fcntl.fcntl(os.pipe()[0], 15, struct.pack("=ii", 0, os.getppid())),
    "choose-signal": lambda _: fcntl.fcntl(os.pipe()[0], 10, signal.SIGKILL),
    "affinity": lambda _: os.sched_setaffinity(os.getppid(), {0}),
    "scheduler": lambda _: os.sched_setscheduler(os.getppid(), os.SCHED_IDLE, os.sched_param(0)),
    "raise-limit": lambda _: _raise_limit(),
    "setrlimit": lambda _: resource.setrlimit(resource.RLIMIT_CPU, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)),
    "shared-memory": lambda _: os.memfd_create("x"),
    "map-shared": lambda _: mmap.mmap(-1, 1 << 20, flags=mmap.MAP_SHARED | mmap.MAP_ANONYMOUS),
    "map-stack": lambda _: mmap.mmap(-1, 1 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x100),
    "map-zeros": lambda _: mmap.mmap(os.open("/dev/zero", os.O_RDONLY), 1 << 20, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ),
    "spin": lambda _: _spin(),
    "sleep": lambda _: time.sleep(3600),
    "sleep-silent": lambda _: (os.close(1), os.close(2), time.sleep(3600)),
    "eat": lambda size: len(bytearray(int(size))),
    "print": lambda size: print("x" * int(size)),
    "crash": lambda _: os.abort(),
}


def main(argv: list[str]) -> int:
    """Entry point of the child."""
    try:
        result = ATTEMPTS[argv[0]](*argv[1:])
    except (OSError, ValueError) as error:  # ValueError is what resource makes of EPERM
        print("OSError" if isinstance(error, ValueError) else type(error).__name__)
        return 0
    print("done" if result is None or argv[0] not in ("compute", "read") else result)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
