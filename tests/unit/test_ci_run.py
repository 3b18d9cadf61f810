"""``.ci/run`` starts from the environment of somebody who has just cloned the project."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.fakes.patience import patience_s

MAKE = """#!/bin/sh
echo "$@" >>"{folder}/targets"
env >"{folder}/environment"
test "$1" != "{fails}"
"""


REGISTRIES = (
    *("PIP_INDEX_URL", "PIP_CERT", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *("NODE_EXTRA_CA_CERTS", "https_proxy", "HTTP_PROXY", "ALL_PROXY", "no_proxy"),
)


def run(folder: Path, fails: str = "", **environment: str) -> tuple[int, list[str], dict[str, str]]:
    """(Exit status, the targets that were made, the environment of the last), with a ``make`` that does nothing; one target fails."""
    stub = folder / "make"
    stub.write_text(MAKE.format(folder=folder, fails=fails))
    stub.chmod(0o755)
    environment = {"HOME": str(folder), "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", **environment}
    done = subprocess.run([ROOT / ".ci" / "run"], env=environment, check=False, timeout=patience_s())
    seen = dict(line.split("=", 1) for line in (folder / "environment").read_text().splitlines())
    return done.returncode, (folder / "targets").read_text().split(), seen


@pytest.mark.parametrize(
    "name", ["PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "LC_ALL", "CASUAL", "VIRTUAL_ENV"]
)
def test_what_a_shell_happens_to_have_does_not_reach_make(tmp_path: Path, name: str) -> None:
    status, _, seen = run(tmp_path, **{name: "1"})
    assert status == 0
    assert set(seen) - {"PWD", "OLDPWD", "SHLVL", "_"} == {"HOME", "PATH", "LANG"}
    assert (seen["HOME"], seen["LANG"]) == (str(tmp_path), "C.UTF-8")


@pytest.mark.parametrize("name", REGISTRIES)
def test_what_reaches_the_package_index_does(tmp_path: Path, name: str) -> None:
    value = "https://me:x=y@index.example/with space"
    assert run(tmp_path, **{name: value})[2][name] == value


def test_an_active_virtual_environment_is_left_behind(tmp_path: Path) -> None:
    active = tmp_path / "v"
    path = f"{tmp_path}{os.pathsep}{active}/bin{os.pathsep}{os.environ['PATH']}"
    assert str(active) not in run(tmp_path, VIRTUAL_ENV=str(active), PATH=path)[2]["PATH"]
    assert run(tmp_path, PATH=path)[2]["PATH"] == path, "the rest of it stays"


def test_the_first_failure_ends_it(tmp_path: Path) -> None:
    status, targets, _ = run(tmp_path, fails="check")
    assert (status != 0, targets) == (True, ["test", "check"])
