"""A kept interpreter: forks of it do what a new Python would, without importing again what takes it seconds.

``python -m tests.fakes.kept MODULE…`` imports the modules and then serves its standard input, a socket: a request brings the line of a
program (``python -m …``), an environment and three descriptors, and is answered with the process's number and, at its end, how it ended.
"""

from __future__ import annotations

import importlib
import os
import runpy
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from types import TracebackType

import msgspec

from edge import sandbox

_MESSAGE_BYTES = 1 << 20


class _Asked(msgspec.Struct):
    module: str
    arguments: list[str]
    env: dict[str, str]


class Kept:
    """The interpreter; ``popen`` stands in for ``subprocess.Popen``."""

    def __init__(self, *modules: str) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, "-m", "tests.fakes.kept", *modules]
            self._process = subprocess.Popen(command, stdin=theirs, cwd=sandbox.HOME, env=sandbox.environment())

    def popen(self, line: Sequence[str], *, env: dict[str, str] | None = None, **_: object) -> KeptChild:
        """``line`` must be ``python -m MODULE …``. The three streams are pipes."""
        python, flag, module, *arguments = line
        assert (python, flag) == (sys.executable, "-m"), line
        return KeptChild(self._ours, _Asked(module, arguments, dict(os.environ) if env is None else env))

    def close(self) -> None:
        """The interpreter ends; its forks do not."""
        self._ours.close()
        self._process.wait()


class KeptChild:
    """As much of ``subprocess.Popen`` as ``edge.sandbox`` and ``tests.fakes.command`` use."""

    def __init__(self, server: socket.socket, asked: _Asked) -> None:
        self._status, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        (to_read, to_write), out, err = os.pipe(), os.pipe(), os.pipe()
        given = [to_read, out[1], err[1]]
        with theirs:
            socket.send_fds(server, [msgspec.json.encode(asked)], [*given, theirs.fileno()])
        for descriptor in given:
            os.close(descriptor)
        self.stdin, self.stdout, self.stderr = os.fdopen(to_write, "wb", 0), os.fdopen(out[0], "rb"), os.fdopen(err[0], "rb")
        self.pid = int(self._status.recv(64))
        self.returncode: int | None = None

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(int(self._status.recv(64)))
        return self.returncode

    def __enter__(self) -> KeptChild:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for stream in (self.stdin, self.stdout, self.stderr):
            stream.close()
        self.wait()
        self._status.close()


def _serve(server: socket.socket) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody here waits for them
    while True:
        message, descriptors, _, _ = socket.recv_fds(server, _MESSAGE_BYTES, 4)
        if not message:
            return
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            server.close()
            _answer(msgspec.json.decode(message, type=_Asked), descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _answer(asked: _Asked, descriptors: list[int]) -> None:
    """One process is the program, the other one waits for it; neither comes back."""
    *streams, status = descriptors
    child = os.fork()
    if child != 0:
        with socket.socket(fileno=status) as told:
            for stream in streams:
                os.close(stream)
            told.send(str(child).encode())
            told.send(str(os.waitpid(child, 0)[1]).encode())
        os._exit(0)
    os.close(status)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(asked.env)
    sys.argv = [asked.module, *asked.arguments]
    sys.modules.pop(asked.module, None)  # it runs anew, as __main__
    os._exit(_exit_status(asked.module))


def _exit_status(module: str) -> int:
    """Of the module, run as ``python -m`` does."""
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:  # noqa: BLE001 - as at the top of any process
        sys.excepthook(*sys.exc_info())
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code


if __name__ == "__main__":
    for name in sys.argv[1:]:
        importlib.import_module(name)
    with socket.socket(fileno=os.dup(0)) as ours:
        _serve(ours)
