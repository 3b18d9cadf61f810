"""What systemd says about the service of this camera."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from edge.doctor.line import Line, fail, ok, warn
from edge.errors import ExitCode

PROPERTIES = ("LoadState", "ActiveState", "SubState", "Result", "ExecMainStatus", "NRestarts", "UnitFileState")
_SLASH = Path("/")


def unit(config: Path, show: Callable[[str], Mapping[str, str] | None] | None = None) -> Line:
    """The state of ``shelfcam@NAME`` for /etc/shelfcam/NAME.toml.

    Args:
        config: the configuration; its name without suffix is the instance.
        show: the properties of a unit, or None where systemd does not run; asks systemctl by default.
    """
    name = f"shelfcam@{config.stem}.service"
    shown = (show or _show)(name)
    if shown is None:
        return ok("unit", "systemd does not run here")
    if shown.get("LoadState") != "loaded":
        return warn("unit", f"{name} is not installed", "sudo shelfcam install")
    return _state(name, shown)


def _state(name: str, shown: Mapping[str, str]) -> Line:
    restarts = f"{shown.get('NRestarts', '0')} restarts since it was started"
    enabled = shown.get("UnitFileState") == "enabled"
    active = shown.get("ActiveState", "unknown")
    journal = f"journalctl -u {name} -n 30"
    if active == "failed":
        status = int(shown.get("ExecMainStatus") or 0)
        code = ExitCode(status) if status in set(ExitCode) and status else ExitCode.UNAVAILABLE
        return fail("unit", f"{name} failed: {shown.get('Result')}, exit {status}, {restarts}", journal, code)
    if active == "activating":
        return warn("unit", f"{name}: no frame has gone through yet ({shown.get('SubState')}), {restarts}", journal)
    if active != "active":
        return warn("unit", f"{name} is {active}", f"sudo systemctl enable --now {name}")
    if not enabled:
        return warn("unit", f"{name} runs, {restarts}, but not after a reboot", f"sudo systemctl enable {name}")
    return ok("unit", f"{name} runs, {restarts}")


def _show(name: str) -> dict[str, str] | None:
    if shutil.which("systemctl") is None or not (_SLASH / "run/systemd/system").is_dir():
        return None
    done = subprocess.run(
        ["systemctl", "show", f"--property={','.join(PROPERTIES)}", name], capture_output=True, text=True, check=False
    )
    return dict(line.partition("=")[::2] for line in done.stdout.splitlines())
