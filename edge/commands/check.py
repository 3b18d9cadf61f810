"""``shelfcam check``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from edge import console
from edge.check import check as check_file
from edge.commands import options


def check(config: Annotated[Path, Parameter(help="Site configuration (TOML).")], /, *, json: options.JsonOption = False) -> int:
    """Check a configuration and everything it names, without starting anything.

    Bundle, model and candidate, the source, the sinks and the state directory are looked at; every problem is told, with its fix. The
    exit code is that of the first. Secrets that others can read, on this machine or on the network, are warned of. What can be written is
    asked for the user who runs this.

    **Examples**

        shelfcam check /etc/shelfcam/shelf-1.toml
        runuser -u shelfcam -- shelfcam check /etc/shelfcam/shelf-1.toml --json
    """
    report = check_file(config)
    if json:
        console.print_json(report)
        return report.exit_code
    out = console.stderr()
    for found, kind in [(problem, "") for problem in report.problems] + [(one, "warning: ") for one in report.warnings]:
        out.print(f"{kind}{found.area}: {found.message}", soft_wrap=True)
        if found.fix:
            out.print(f"  fix: {found.fix}", soft_wrap=True)
    if report.ok:
        console.print_line(f"{config}: ok")
    else:
        out.print(f"{config}: {len(report.problems)} problem{'s' if len(report.problems) > 1 else ''}", soft_wrap=True)
    return report.exit_code
