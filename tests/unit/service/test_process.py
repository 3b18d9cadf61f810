"""CPUs and priority of the process, set for real in children."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from edge.board.boards import DEFAULTS, board_defaults
from edge.errors import ConfigError
from edge.service.process import check_affinity, limited_memory, online_cpus

ROOT = Path(__file__).parents[3]


def child(code: str) -> subprocess.CompletedProcess[str]:
    prelude = "import os, threading\nfrom edge.service.process import settle\n"
    return subprocess.run([sys.executable, "-c", prelude + code], cwd=ROOT, capture_output=True, text=True, check=False)


def test_threads_that_start_later_inherit_both() -> None:
    cpu = min(os.sched_getaffinity(0))
    look = "print(sorted(os.sched_getaffinity(0)), os.getpriority(os.PRIO_PROCESS, 0))"
    done = child(f"settle([{cpu}], 7)\nthread = threading.Thread(target=lambda: {look})\nthread.start()\nthread.join()")
    assert done.stdout.strip() == f"[{cpu}] 7", done.stderr


def test_nothing_said_is_nothing_changed() -> None:
    done = child("settle((), 0)\nprint(sorted(os.sched_getaffinity(0)), os.getpriority(os.PRIO_PROCESS, 0))")
    assert done.stdout.strip() == f"{sorted(os.sched_getaffinity(0))} {os.getpriority(os.PRIO_PROCESS, 0)}"


def test_a_cpu_that_there_is_not_is_named() -> None:
    with pytest.raises(ConfigError, match="no CPU 5, 9") as caught:
        check_affinity((1, 9, 5), online=(0, 1))
    assert caught.value.fix == "name some of: 0, 1"
    check_affinity((0, 1), online=(0, 1))
    with pytest.raises(ConfigError, match="no CPU 1023"):
        check_affinity((1023,))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up being root in a child")
def test_a_priority_before_the_one_it_has_is_a_config_error() -> None:
    done = child("os.setpriority(os.PRIO_PROCESS, 0, 9)\nos.setuid(65534)\nsettle((), 3)")
    assert "ConfigError: model.nice: 3 is less than the 9 that it runs with" in done.stderr


@pytest.mark.parametrize(("text", "cpus"), [("0-2,4\n", {0, 1, 2, 4}), ("0\n", {0}), ("0,2-3\n", {0, 2, 3})])
def test_cpus_that_are_switched_on(tmp_path: Path, text: str, cpus: set[int]) -> None:
    file = tmp_path / "sys/devices/system/cpu/online"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    assert online_cpus(tmp_path) == cpus
    file.write_text("nonsense")
    assert online_cpus(tmp_path) == set(range(os.cpu_count() or 1))


def test_each_board_tries_only_what_it_may_have() -> None:
    assert not {"cuda", "tensorrt", "tensorrt-fp16"} & set(DEFAULTS["pi"].providers)
    assert DEFAULTS["jetson"].providers == ("tensorrt-fp16", "tensorrt", "cuda")
    assert board_defaults() in DEFAULTS.values()


def test_memory_is_limited_to_so_much_more_and_as_before_afterwards() -> None:
    done = child(
        "from edge.service.process import limited_memory\n"
        "with limited_memory(200_000_000) as limit:\n"
        "    held = bytearray(100_000_000)\n"
        "    try:\n"
        "        bytearray(300_000_000)\n"
        "    except MemoryError:\n"
        "        print('refused')\n"
        "bytearray(300_000_000)\n"
        "print('taken')"
    )
    assert done.stdout.split() == ["refused", "taken"], done.stderr


def test_no_limit_where_a_gpu_is_or_the_kernel_is_silent(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with limited_memory(root=tmp_path) as limit:
        assert limit is None
    status = tmp_path / "proc/self/status"
    status.parent.mkdir(parents=True)
    status.write_text("VmPeak:\t 5 kB\nVmData:\t 3000 kB\n")
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/nvmap").touch()
    with limited_memory(root=tmp_path) as limit:
        assert limit is None
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
