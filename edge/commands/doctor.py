"""``shelfcam doctor``."""

from __future__ import annotations

from edge import console
from edge.commands import options
from edge.doctor.examine import examine
from edge.doctor.line import exit_code

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


def doctor(*, config: options.ConfigOption = None, json: options.JsonOption = False) -> int:
    """Look at the machine and the camera, and say what is wrong with the fix.

    Board, system, clock, cameras, runtimes, the candidate that runs and why, state, disk, brokers, permissions and the systemd unit.
    Writes nothing; a bundle that was never tried here is tried in a confined process. Exit 0 unless a line fails; then the exit code of
    the first that does.

    **Examples**

        shelfcam doctor
        sudo shelfcam doctor --config /etc/shelfcam/shelf-1.toml --json
    """
    lines = list(examine(config))
    code = exit_code(lines)
    if json:
        console.print_json({"ok": code == 0, "exit_code": code, "lines": lines})
        return code
    out = console.stdout()
    for line in lines:
        status = console.styled(f"{line.status:<4}", _COLOURS[line.status])
        out.print(status, f"{line.area:<12} {line.found}", soft_wrap=True)
        if line.fix:
            out.print(f"{'':17} fix: {line.fix}", soft_wrap=True)
    return code
