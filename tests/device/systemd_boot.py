"""Does the service do under a real systemd what its unit promises? A minimal Debian 12 is booted in a container (systemd-nspawn), with
the wheel in /opt/shelfcam and ``shelfcam install`` run in it.

Run by ``make systemd``; needs root, the package index and a Debian mirror, mmdebstrap and systemd-container, which it installs; without
them it says so and ends well. Prints a line a promise; exit 1 if one is not kept.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from package import PIP, build_wheel

TOOLS = {"systemd-nspawn": "systemd-container", "mmdebstrap": "mmdebstrap"}
PACKAGES = "systemd,systemd-sysv,python3,python3-venv,ca-certificates"
PATIENCE_S = 240.0  # for anything to happen on a machine that is busy with other work
QUICK = "[Service]\nWatchdogSec=4\nRestartSec=1\n"
NEVER_KILLED = "[Service]\nTimeoutStartSec=infinity\n"

ASKER = """[Service]
Type=oneshot
Restart=no
WatchdogSec=0
ExecStart=
ExecStart=/opt/shelfcam/bin/python /etc/shelfcam/asker.py
"""

CONFIG = """config_version = 1
[camera]
name = "{name}"
source = "{source}"
[model]
candidate = "{candidate}"
threads = 1
[[sink]]
kind = "jsonl"
path = "/var/log/shelfcam/{name}.jsonl"
"""

DAEMON = "[Service]\nExecStart=/bin/sleep infinity\n"


def missing_tools() -> list[str]:
    """Debian packages that are not here, after an attempt to install them as root."""
    missing = [package for tool, package in TOOLS.items() if shutil.which(tool) is None]
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "-qq", "update"], check=False, stdout=subprocess.DEVNULL)
        subprocess.run(
            ["apt-get", "-qq", "install", "-y", "--no-install-recommends", *missing], check=False, stdout=subprocess.DEVNULL
        )
    return [package for tool, package in TOOLS.items() if shutil.which(tool) is None]


def make_root(scratch: Path) -> Path:
    """A root directory that boots, with shelfcam in a virtual environment of its own Python."""
    root = scratch / "root"
    subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(root)], check=True)
    wheels = root / "var" / "wheels"
    wheel = build_wheel(scratch)
    options = ["--only-binary=:all:", "--python-version", "3.11", "--dest", str(wheels)]
    subprocess.run([sys.executable, *PIP, "download", "-qq", *options, f"{wheel}[onnx,litert]"], check=True)
    subprocess.run(["chroot", str(root), "/usr/bin/python3", "-m", "venv", "/opt/shelfcam"], check=True)
    install = ["/opt/shelfcam/bin/pip", "install", "-qq", "--no-index", "--find-links", "/var/wheels", "shelfcam[onnx,litert]"]
    subprocess.run(["chroot", str(root), *install], check=True)
    return root


class Machine:
    """The booted container. ``run`` runs a command in it as root."""

    def __init__(self, leader: int, root: Path) -> None:
        self._enter = ["nsenter", "-t", str(leader), "-m", "-u", "-i", "-n", "-p", "--"]
        self.root = root

    def run(self, *command: str, check: bool = True) -> str:
        """Standard output and error."""
        done = subprocess.run(
            [*self._enter, *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )
        assert not check or done.returncode == 0, f"{' '.join(command)}: exit {done.returncode}: {done.stdout}"
        return done.stdout

    def show(self, unit: str) -> dict[str, str]:
        """The properties of a unit."""
        return dict(line.partition("=")[::2] for line in self.run("systemctl", "show", unit).splitlines())

    def wait(self, what: str, condition: Callable[[], object]) -> None:
        """Until the condition holds; AssertionError with the journal if it does not."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"waited in vain: {what}\n{self.run('journalctl', '-n', '30', '--no-pager', check=False)}")
            time.sleep(0.2)

    def camera(self, name: str, source: str, extra: str = "", drop_in: str = QUICK, candidate: str = "onnx-int8") -> str:
        """Configure a camera and say its unit."""
        unit = f"shelfcam@{name}.service"
        (self.root / f"etc/shelfcam/{name}.toml").write_text(
            CONFIG.format(name=name, source=source, candidate=candidate) + extra
        )
        folder = self.root / f"etc/systemd/system/{unit}.d"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "test.conf").write_text(drop_in)
        self.run("systemctl", "daemon-reload")
        return unit

    def events(self, name: str) -> list[dict]:
        """What the camera has written so far, in whole lines."""
        path = self.root / f"var/log/shelfcam/{name}.jsonl"
        return [json.loads(line) for line in path.read_text().rpartition("\n")[0].splitlines()] if path.exists() else []

    def observations(self, name: str) -> list[dict]:
        """Those of them that show a frame."""
        return [event for event in self.events(name) if event["kind"] == "observation"]


@contextmanager
def booted(root: Path) -> Iterator[Machine]:
    """Boot, wait until systemd says that it is up, and switch off."""
    flags = ["-b", "--register=no", "--keep-unit", "--console=read-only", "--private-network"]
    log = (root.parent / "console.log").open("wb")
    nspawn = subprocess.Popen(["systemd-nspawn", "-D", str(root), *flags], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        machine = Machine(_leader(nspawn.pid), root)
        machine.wait(
            "boot", lambda: machine.run("systemctl", "is-system-running", check=False).strip() in ("running", "degraded")
        )
        yield machine
        machine.run("systemctl", "poweroff", check=False)
        nspawn.wait(PATIENCE_S)
    finally:
        if nspawn.poll() is None:
            nspawn.terminate()  # an orderly shutdown of the container
            try:
                nspawn.wait(60)
            except subprocess.TimeoutExpired:
                nspawn.kill()
        log.close()


def _leader(nspawn: int) -> int:
    """The container's systemd, as this machine numbers it."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        children = Path(f"/proc/{nspawn}/task/{nspawn}/children")
        for pid in children.read_text().split() if children.exists() else []:
            if Path(f"/proc/{pid}/comm").read_text().strip() == "systemd":
                return int(pid)
        time.sleep(0.1)
    raise AssertionError("systemd-nspawn started no systemd")


def ready_comes_with_the_first_frame(machine: Machine) -> str:
    """READY only after a frame, by a process that is confined as the unit says. Observations are written a moment after their frame."""
    unit = machine.camera("shelf-1", "synthetic:fps=10")
    machine.run("systemctl", "start", unit)  # returns when READY=1 has come
    assert machine.show(unit)["ActiveState"] == "active"
    active_s = int(machine.show(unit)["ActiveEnterTimestampMonotonic"]) / 1e6 + time.time() - time.monotonic()
    machine.wait("the first observation", lambda: machine.observations("shelf-1"))
    first_s = datetime.fromisoformat(machine.observations("shelf-1")[0]["captured_utc"].replace("Z", "+00:00")).timestamp()
    assert first_s <= active_s, f"ready {first_s - active_s:.3f} s before the first frame"
    status = machine.run("cat", f"/proc/{machine.show(unit)['MainPID']}/status").split()
    confined = {key: status[status.index(f"{key}:") + 1] for key in ("NoNewPrivs", "Seccomp", "CapEff", "CapBnd")}
    assert confined == {"NoNewPrivs": "1", "Seccomp": "2", "CapEff": "0" * 16, "CapBnd": "0" * 16}, confined
    owner = machine.run("stat", "-c", "%U %a", "/var/lib/shelfcam", "/var/log/shelfcam").split("\n")[:2]
    assert owner == ["shelfcam 750", "shelfcam 750"], owner
    return f"active {active_s - first_s:.3f} s after the first frame; user shelfcam, no capability, system calls filtered"


def a_hung_process_is_replaced_and_its_numbers_go_on(machine: Machine) -> str:
    """SIGSTOP → watchdog → SIGKILL → restart; event ids go on upwards."""
    unit = "shelfcam@shelf-1.service"
    before = machine.show(unit)
    machine.run("sh", "-c", f"kill -STOP {before['MainPID']}")
    last = machine.events("shelf-1")[-1]["id"]
    machine.wait(
        "the restart", lambda: machine.show(unit)["NRestarts"] == "1" and machine.show(unit)["ActiveState"] == "active"
    )
    after = machine.show(unit)
    assert after["MainPID"] != before["MainPID"]
    journal = machine.run("journalctl", "-u", unit, "--no-pager")
    assert "Watchdog timeout" in journal, journal
    machine.wait(
        "events of the new process", lambda: len([e for e in machine.events("shelf-1") if e["type"] == "started"]) == 2
    )
    ids = [event["id"] for event in machine.events("shelf-1")]
    assert ids == sorted(set(ids)), "an id was used twice or ran backwards"
    assert ids[-1] > last
    return f"killed by the watchdog, running again; ids went on from {last} to {ids[-1]}"


def a_broken_reload_leaves_it_running(machine: Machine) -> str:
    """``systemctl reload`` with a wrong file is refused, with a right one taken over; the process is the same all the time."""
    unit = "shelfcam@shelf-1.service"
    before = machine.show(unit)["MainPID"]

    def told(type_: str) -> bool:
        return any(event["type"] == type_ for event in machine.events("shelf-1"))

    machine.camera("shelf-1", "synthetic:fps=10", extra="[camera_]\n")
    machine.run("systemctl", "reload", unit)
    machine.wait("the refusal", lambda: told("reload_refused"))
    machine.camera("shelf-1", "synthetic:fps=12")
    machine.run("systemctl", "reload", unit)
    machine.wait("the new configuration", lambda: told("reloaded"))
    after = machine.show(unit)
    assert (after["ActiveState"], after["MainPID"]) == ("active", before)
    return "the wrong file refused, the right one taken over, in one process"


def a_broken_config_stays_down_and_says_why(machine: Machine) -> str:
    """Exit 78: no restart, and the reason in ``systemctl status``."""
    unit = machine.camera("broken", "synthetic:", extra="[camera_]\nname = 'x'\n")
    machine.run("systemctl", "start", unit, check=False)
    machine.wait("the end", lambda: machine.show(unit)["ActiveState"] == "failed")
    time.sleep(5)  # longer than RestartSec: a restart would have come
    shown = machine.show(unit)
    assert (shown["ActiveState"], shown["ExecMainStatus"], shown["NRestarts"]) == ("failed", "78", "0"), shown
    status = machine.run("systemctl", "status", "--no-pager", unit, check=False)
    assert "unknown key 'camera_'" in status, status
    assert "did you mean 'camera'" in status, status
    check = machine.run("/opt/shelfcam/bin/shelfcam", "check", "/etc/shelfcam/broken.toml", check=False)
    assert "unknown key 'camera_'" in check, check
    return "failed with 78, not restarted; status names the key"


def silence_is_never_ready(machine: Machine) -> str:
    """A live source that opens and gives no frame: activating, never active."""
    unit = machine.camera("dark", "synthetic:fps=10,silent-after=0", drop_in=NEVER_KILLED)
    machine.run("systemctl", "start", "--no-block", unit)
    machine.wait("the loop", lambda: any(event["type"] == "started" for event in machine.events("dark")))
    time.sleep(5)  # several time-outs of the source
    assert machine.show(unit)["ActiveState"] == "activating", machine.show(unit)["ActiveState"]
    machine.run("systemctl", "stop", unit)
    assert not machine.observations("dark")
    return "still activating while the loop runs without frames"


def a_camera_that_falls_silent_is_restarted(machine: Machine) -> str:
    """Frames, then none: the process lives and its loop turns, but the watchdog starves."""
    unit = machine.camera("tired", "synthetic:fps=10,silent-after=5")
    machine.run("systemctl", "start", unit)
    machine.wait("the watchdog", lambda: int(machine.show(unit)["NRestarts"]) >= 1)
    machine.run("systemctl", "stop", unit)
    return "the watchdog restarted it"


def every_runtime_works_confined(machine: Machine) -> str:
    """LiteRT's kernels under MemoryDenyWriteExecute=, and the measurement in processes of their own under the system call filter."""
    unit = machine.camera("tflite", "synthetic:fps=5", candidate="tflite-int8")
    machine.run("systemctl", "start", unit)
    machine.run("systemctl", "stop", unit)
    unit = machine.camera("auto", "synthetic:fps=2", candidate="auto", drop_in="[Service]\nWatchdogSec=60\n")
    machine.run("systemctl", "start", unit)
    machine.wait("the choice", lambda: any(event["type"] == "candidate" for event in machine.events("auto")))
    machine.run("systemctl", "stop", unit)
    journal = machine.run("journalctl", "-u", unit, "--no-pager")
    assert "niceness" not in journal, journal
    reason = next(event["flags"][1] for event in machine.events("auto") if event["type"] == "candidate")
    assert "out:" not in reason, f"a candidate could not run: {reason}"
    return f"tflite-int8 ran, and all candidates were measured: {reason}"


def the_doctor_finds_what_is_wrong(machine: Machine) -> str:
    """On the installed service: one camera that runs, one that is broken."""

    def examined(name: str) -> tuple[dict[str, dict], int]:
        report = json.loads(
            machine.run("/opt/shelfcam/bin/shelfcam", "doctor", "--config", f"/etc/shelfcam/{name}.toml", "--json", check=False)
        )
        return {line["area"]: line for line in report["lines"]}, report["exit_code"]

    good, code = examined("shelf-1")
    assert (code, good["state"]["status"], good["video group"]["status"]) == (0, "ok", "ok"), good
    assert "runs, 1 restarts" in good["unit"]["found"], good["unit"]
    bad, code = examined("broken")
    assert (code, bad["config"]["status"], bad["unit"]["status"]) == (78, "fail", "fail"), bad
    return f"{good['unit']['found']}; {bad['unit']['found']}"


def as_camera(machine: Machine, script: str, check: bool = True) -> str:
    """Run Python as the service's user, confined by the service's own unit. Returns what it printed."""
    unit = machine.camera("asker", "synthetic:", drop_in=ASKER)
    (machine.root / "etc/shelfcam/asker.py").write_text(script)
    machine.run("systemctl", "start", unit, check=check)
    return machine.run("journalctl", "-u", unit, "-n", "30", "--no-pager")


def asking(unit: str) -> str:
    """What a camera runs to ask for it."""
    return f"from edge.service.requests import ask_restart; raise SystemExit(not ask_restart({unit!r}))"


def a_daemon_restarts_on_request(machine: Machine) -> str:
    """The service's user asks, root's units act, and only for daemons that root enabled."""
    for name in ("fake-daemon", "other-daemon"):
        (machine.root / f"etc/systemd/system/{name}.service").write_text(DAEMON)
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "start", "fake-daemon", "other-daemon", "shelfcam-restart@fake-daemon.socket")
    before = {name: machine.show(name)["MainPID"] for name in ("fake-daemon", "other-daemon")}
    as_camera(machine, asking("fake-daemon"))
    refused = as_camera(machine, asking("other-daemon"), check=False)
    assert "cannot be asked for" in refused, refused
    machine.wait("the restart", lambda: machine.show("fake-daemon")["MainPID"] not in ("0", before["fake-daemon"]))
    assert machine.show("other-daemon")["MainPID"] == before["other-daemon"]
    assert machine.run(
        "stat", "-c", "%U %G %a %F", "/run/shelfcam-restart", "/run/shelfcam-restart/fake-daemon"
    ).splitlines() == [
        "root root 755 directory",
        "root shelfcam 620 fifo",
    ]
    return "the enabled daemon was restarted, another was not"


ATTACKS = """
import os, socket
place = "/run/shelfcam-restart/"
def refused(what, *args):
    try: what(*args)
    except OSError: return
    raise SystemExit(f"{what.__name__}{args} was let through")
refused(os.mkdir, place + "other-daemon"); refused(os.mkfifo, place + "other-daemon")
refused(os.symlink, "/etc/passwd", place + "other-daemon")
refused(os.unlink, place + "fake-daemon"); refused(os.rename, place + "fake-daemon", place + "x"); refused(os.rmdir, place)
refused(os.chmod, place + "fake-daemon", 0o777); refused(open, place + "other-daemon", "w")
refused(open, place + "fake-daemon", "r"); refused(os.open, place + "reboot", os.O_WRONLY)
s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
refused(s.connect, "/run/systemd/private")
pipe = os.open(place + "fake-daemon", os.O_WRONLY | os.O_NONBLOCK)
for message in (b"", b"other-daemon", b"reboot", b"$(reboot)\\n", bytes(60_000), b"%i" * 1000, bytes(1 << 24), *[b"1"] * 100_000):
    try: os.write(pipe, message)
    except BlockingIOError: pass
"""


def a_camera_that_turned_bad_gets_no_more(machine: Machine) -> str:
    """Directories, pipes and links in a request's place, unknown names, strange and endless writing: at most one more restart, and then
    a pause; the requests are served on afterwards."""
    unit = "shelfcam-restart@fake-daemon"
    before = {name: machine.show(name)["MainPID"] for name in ("fake-daemon", "other-daemon")}
    began = machine.run("systemctl", "show", "--property=UserspaceTimestampMonotonic")
    as_camera(machine, ATTACKS)
    during = machine.show(f"{unit}.service")
    assert (during["ActiveState"], during["SubState"]) == ("activating", "start-post"), "it rests after the restart before"
    assert {name: machine.show(name)["MainPID"] for name in before} == before, "so nothing was restarted"
    assert machine.show(f"{unit}.socket")["ActiveState"] == "active"
    machine.run("systemctl", "kill", f"{unit}.service")  # the pause is over
    machine.wait(
        "one restart for all of them", lambda: machine.show("fake-daemon")["MainPID"] not in ("0", before["fake-daemon"])
    )
    machine.wait("the pause", lambda: machine.show(f"{unit}.service")["SubState"] == "start-post")
    machine.run("systemctl", "kill", f"{unit}.service")
    machine.wait("an end", lambda: machine.show(f"{unit}.service")["ActiveState"] in ("inactive", "failed"))
    time.sleep(3)
    assert machine.show(f"{unit}.service")["ActiveState"] in ("inactive", "failed"), "all were one request"
    assert machine.show(f"{unit}.socket")["SubState"] == "listening"
    assert machine.run("systemctl", "show", "--property=UserspaceTimestampMonotonic") == began, "nor was the machine"
    machine.run("systemctl", "stop", f"{unit}.socket")
    return "nothing was made in the requests' place; 100,000 requests were one restart, after a pause"


def a_reboot_on_request_waits_for_its_time(machine: Machine) -> str:
    """Enabled by root, asked for by a camera: dropped within ten minutes of the start of the machine, and done after that.

    A container has the uptime of its host, so both are tried with a file in its place."""
    unit = "shelfcam-restart@reboot"
    folder = machine.root / f"etc/systemd/system/{unit}.service.d"
    folder.mkdir(parents=True, exist_ok=True)
    command = next(
        line for line in machine.run("systemctl", "cat", f"{unit}.service").splitlines() if line.startswith("ExecStart=")
    )
    (machine.root / "etc/uptime").write_text("599.99 1.0\n")
    tried = command.replace("/proc/uptime", "/etc/uptime").replace("start reboot.target", "start fake-reboot.service")
    assert tried.count("/etc/uptime") == tried.count("fake-reboot") == 1, command
    (folder / "test.conf").write_text(f"[Service]\nExecStart=\n{tried}\n")
    (machine.root / "etc/systemd/system/fake-reboot.service").write_text(DAEMON)
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "start", f"{unit}.socket")
    as_camera(machine, asking("reboot"))
    machine.wait(
        "an answer", lambda: "less than 10 minutes ago" in machine.run("journalctl", "-u", f"{unit}.service", "--no-pager")
    )
    assert machine.show("fake-reboot")["ActiveState"] == "inactive"
    machine.wait("the pause", lambda: machine.show(f"{unit}.service")["SubState"] == "start-post")
    machine.run("systemctl", "kill", f"{unit}.service")
    machine.wait("an end", lambda: machine.show(f"{unit}.service")["ActiveState"] in ("inactive", "failed"))
    (machine.root / "etc/uptime").write_text("600.00 1.0\n")
    as_camera(machine, asking("reboot"))
    machine.wait("the reboot", lambda: machine.show("fake-reboot")["ActiveState"] == "active")
    machine.run("systemctl", "stop", f"{unit}.socket", f"{unit}.service")
    return "dropped after 599 s, done after 600 s"


PROMISES = (
    ready_comes_with_the_first_frame,
    a_hung_process_is_replaced_and_its_numbers_go_on,
    a_broken_reload_leaves_it_running,
    a_broken_config_stays_down_and_says_why,
    the_doctor_finds_what_is_wrong,
    silence_is_never_ready,
    a_camera_that_falls_silent_is_restarted,
    every_runtime_works_confined,
    a_daemon_restarts_on_request,
    a_camera_that_turned_bad_gets_no_more,
    a_reboot_on_request_waits_for_its_time,
)


def check(root: Path) -> int:
    """A line a promise; how many were not kept."""
    failed = 0
    with booted(root) as machine:
        machine.run("/opt/shelfcam/bin/shelfcam", "install")
        again = machine.run("/opt/shelfcam/bin/shelfcam", "install", "--json")
        assert {c["action"] for c in json.loads(again)["changes"]} == {"unchanged", "run"}, again
        for promise in PROMISES:
            try:
                print(f"ok   {promise.__name__.replace('_', ' ')}: {promise(machine)}", flush=True)
            except (AssertionError, LookupError, subprocess.TimeoutExpired) as error:
                failed += 1
                print(f"FAIL {promise.__name__.replace('_', ' ')}: {type(error).__name__}: {error}", flush=True)
    return failed


def main() -> int:
    """0 also where it cannot be tried, with the reason."""
    missing = missing_tools()
    if missing or os.geteuid() != 0:
        why = f"not installed: {', '.join(missing)}" if missing else "a container needs root"
        print(f"–    the booted service was not tried: {why}")
        return 0
    with tempfile.TemporaryDirectory(dir="/var/tmp") as scratch:
        root = Path(sys.argv[1]) if len(sys.argv) > 1 else make_root(Path(scratch))
        return 1 if check(root) else 0


if __name__ == "__main__":
    raise SystemExit(main())
