"""Each line of the doctor against a machine that is made up, and the command against this one."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge import models
from edge.backends import ort
from edge.board.thermal import read_thermal
from edge.choice.pick import Choice, Row
from edge.config import DeviceConfig, ModelConfig, PicturesConfig, SlotConfig, StateConfig, ThermalConfig, default_config
from edge.doctor import access, host, inference, network, shelf, unit
from edge.doctor.examine import as_service, examine
from edge.doctor.line import exit_code, fail, ok, warn
from edge.errors import ExitCode
from edge.shelf import reference
from tests.conftest import ROOT
from tests.fakes.several import write_pipeline_bundle


def put(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_the_exit_code_is_that_of_the_first_line_that_fails() -> None:
    lines = [ok("a", ""), warn("b", "", ""), fail("c", "", None, ExitCode.OUTPUT), fail("d", "", None, ExitCode.CONFIG)]
    assert exit_code(lines) == ExitCode.OUTPUT
    assert exit_code(lines[:2]) == ExitCode.OK


def test_system_and_python(tmp_path: Path) -> None:
    put(tmp_path, {"etc/os-release": 'NAME="x"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n'})
    line = host.system(tmp_path, "aarch64")
    assert (line.status, line.found) == ("ok", "Debian GNU/Linux 12 (bookworm), aarch64")
    assert host.system(tmp_path, "armv7l").status == "warn"
    assert [
        host.sandbox(walls).status for walls in (("limits", "seccomp", "landlock"), ("limits", "seccomp"), ("limits",))
    ] == [*("ok", "warn", "warn")]
    assert (host.python((3, 11)).status, host.python((3, 9)).status, host.python((3, 14)).status) == ("ok", "warn", "warn")


def test_a_pi_that_is_hot_and_badly_fed(tmp_path: Path) -> None:
    zone = {"sys/class/thermal/thermal_zone0/type": "cpu-thermal\n", "sys/class/thermal/thermal_zone0/temp": "71400\n"}
    put(tmp_path, {**zone, "sys/devices/platform/soc/soc:firmware/get_throttled": "50005\n"})
    state = read_thermal(tmp_path)
    assert state.celsius == {"cpu-thermal": 71.4}
    assert state.throttled == {
        "under_voltage": True,
        "frequency_capped": False,
        "throttled": True,
        "soft_temperature_limit": False,
    }
    assert state.happened == {"under_voltage": 1, "frequency_capped": 0, "throttled": 1, "soft_temperature_limit": 0}
    line = host.thermal(tmp_path)
    assert (line.status, line.found) == ("warn", "71.4 °C (cpu-thermal), now: under_voltage, throttled")


def test_a_jetson_with_a_sensor_that_sleeps(tmp_path: Path) -> None:
    thermal = "sys/class/thermal"
    put(
        tmp_path,
        {
            f"{thermal}/thermal_zone0/type": "cpu-thermal",
            f"{thermal}/thermal_zone0/temp": "45000",
            f"{thermal}/thermal_zone1/type": "tj-thermal",
            f"{thermal}/thermal_zone1/temp": "51250",
            f"{thermal}/thermal_zone2/type": "cv0-thermal",
            f"{thermal}/cooling_device0/type": "pwm-fan",
            f"{thermal}/cooling_device0/cur_state": "2",
            f"{thermal}/cooling_device1/type": "cpufreq-cpu0",
            f"{thermal}/cooling_device1/cur_state": "1",
            "sys/class/hwmon/hwmon3/name": "soctherm_oc",
            "sys/class/hwmon/hwmon3/oc1_event_cnt": "4",
        },
    )
    state = read_thermal(tmp_path)
    assert state.celsius == {"cpu-thermal": 45.0, "tj-thermal": 51.25}
    assert (state.throttled, state.happened) == ({"cpufreq": True}, {"oc1": 4})
    assert host.thermal(tmp_path).found.startswith("51.2 °C (tj-thermal)")
    assert (read_thermal(tmp_path / "none").celsius, host.thermal(tmp_path / "none").status) == ({}, "ok")


def test_trip_points_that_slow_the_board_down_are_its_limits(tmp_path: Path) -> None:
    zone = "sys/class/thermal/thermal_zone0"
    trips = [
        ("active", 50_000),
        ("passive", 99_000),
        ("passive", 95_000),
        ("passive", 0),
        ("hot", 90_000),
        ("critical", 104_500),
    ]
    files = {
        f"{zone}/trip_point_{n}_{what}": str(value)
        for n, trip in enumerate(trips)
        for what, value in zip(("type", "temp"), trip, strict=True)
    }
    put(tmp_path, {f"{zone}/type": "tj-thermal", f"{zone}/temp": "91000", **files})
    put(tmp_path, {"sys/class/thermal/thermal_zone1/type": "board", "sys/class/thermal/thermal_zone1/temp": "40000"})
    assert read_thermal(tmp_path).limits_c == {"tj-thermal": 95.0}
    line = host.rate(ThermalConfig(), tmp_path)
    assert (line.status, line.found) == ("warn", "lowered: within 5 °C of throttling; lowered from 90 °C of tj-thermal")
    line = host.rate(ThermalConfig(limit_c=100.0), tmp_path)
    assert (line.status, line.found) == ("ok", "full; lowered from 95 °C of tj-thermal")
    assert host.rate(ThermalConfig(enabled=False), tmp_path).found == "never lowered: thermal.enabled is false"
    assert host.rate(ThermalConfig(), tmp_path / "none").found == "never lowered: no sensor"


def test_the_soft_limit_of_a_pi_is_known(tmp_path: Path) -> None:
    zone = "sys/class/thermal/thermal_zone0"
    put(tmp_path, {f"{zone}/type": "cpu-thermal", f"{zone}/temp": "50000"})
    put(tmp_path, {"proc/device-tree/model": "Raspberry Pi 3 Model B Plus Rev 1.3\0"})
    assert host.rate(ThermalConfig(), tmp_path).found == "full; lowered from 55 °C of cpu-thermal"


def filesystem(free: int, flags: int = 0) -> os.statvfs_result:
    return os.statvfs_result((4096, 1, free, free, free, 0, 0, 0, flags, 255))


@pytest.mark.parametrize(
    ("free", "flags", "status"),
    [(10**10, 0, "ok"), (10**8, 0, "warn"), (10**6, 0, "fail"), (10**10, os.ST_RDONLY, "fail")],
)
def test_room_on_the_disk(tmp_path: Path, free: int, flags: int, status: str) -> None:
    asked: list[Path] = []

    def statvfs(path: Path) -> os.statvfs_result:
        asked.append(path)
        return filesystem(free, flags)

    line = host.disk("disk", tmp_path / "not" / "there", statvfs=statvfs)
    assert (line.status, asked) == (status, [tmp_path])
    assert line.exit_code == (ExitCode.OUTPUT if status == "fail" else ExitCode.OK)


def test_the_clock() -> None:
    assert (host.clock(True).status, host.clock(False).status) == ("ok", "warn")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """One that every user may look into: pytest closes its own, and again whenever another run of it starts."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        if not all(place.stat().st_mode & stat.S_IXOTH for place in folder.parents):
            pytest.skip(f"other users may not look into {folder.parent}")
        yield folder


def test_who_may_open_cameras_and_write_state(open_folder: Path) -> None:
    put(
        open_folder,
        {"sys/class/video4linux/video0/name": "HD Webcam", "sys/class/video4linux/video10/name": "ISP", "dev/video0": ""},
    )
    node = open_folder / "dev" / "video0"
    node.chmod(0o660)
    insider = access.User("a", 4242, frozenset([node.stat().st_gid]))
    outsider = access.User("b", 4243, frozenset([77777]))
    assert [line.status for line in access.devices(insider, open_folder)] == ["ok", "warn"]
    lines = access.devices(outsider, open_folder)
    assert (lines[0].status, lines[0].exit_code) == ("fail", ExitCode.UNAVAILABLE)
    assert "HD Webcam" in lines[0].found
    assert access.devices(insider, open_folder / "none")[0].status == "ok"
    assert access.video_group(insider, {"video": node.stat().st_gid}).status == "ok"
    assert access.video_group(outsider, {"video": node.stat().st_gid}).status == "warn"
    assert access.video_group(outsider, {}).status == "warn"
    state = open_folder / "state"
    state.mkdir(mode=0o770)
    state.chmod(0o770)
    assert access.state(insider, state / "shelf-1").status == "ok"
    denied = access.state(outsider, state / "shelf-1")
    assert (denied.status, denied.exit_code) == ("fail", ExitCode.OUTPUT)
    state.chmod(0o700)
    assert access.state(insider, state).status == "fail"


def test_runtimes_that_are_and_are_not_there() -> None:
    none = inference.runtimes({})
    assert (none[0].status, none[0].exit_code) == ("fail", ExitCode.UNAVAILABLE)
    broken = inference.runtimes({"tflite-runtime": "2.14"})
    assert broken[0].status == "fail", "it is not installed here, so it cannot be imported"
    pytest.importorskip("onnxruntime")
    real = {line.found.split()[0]: line for line in inference.runtimes()}
    assert "CPUExecutionProvider" in real["onnxruntime"].found


def test_every_model_of_a_pipeline_is_told(tmp_path: Path) -> None:
    config = site(write_pipeline_bundle(tmp_path / "b").directory, tmp_path)
    bundle, *models_ = inference.candidates(config, {"onnxruntime": "1"})
    assert bundle.found.endswith("model finder + colour; passed its trial")
    assert [line.found.partition(" is")[0] for line in models_] == ["no candidate of finder", "no candidate of colour"]
    lacking = inference.candidates(config, {"ai-edge-litert": "2"})
    assert [line.status for line in lacking] == ["ok", "fail", "fail"]


def site(bundle: Path, tmp_path: Path, **model: str) -> DeviceConfig:
    changed = ModelConfig(bundle=str(bundle), **model)
    return msgspec.structs.replace(default_config(), model=changed, state=StateConfig(dir=str(tmp_path)))


def test_which_candidate_runs_and_why(colour_bundle: Path, tmp_path: Path) -> None:
    ort = {"onnxruntime": "1"}
    assert inference.candidates(site(colour_bundle, tmp_path), ort)[1].status == "warn", "nothing was measured yet"
    config = site(colour_bundle, tmp_path)
    bundle = models.find_bundle(config)
    key = models.build_loader(config, bundle, models.find_model(bundle, None)).key
    models.choice_store(config).remember(key, Choice(candidate="onnx-a", reason="fastest of 1", rows=()))
    known = inference.candidates(config, ort)[1]
    assert (known.status, known.found) == ("ok", "onnx-a: fastest of 1")
    assert (
        inference.candidates(site(colour_bundle, tmp_path, candidate="onnx-a"), ort)[1].found == "onnx-a: named in the config"
    )
    wrong = inference.candidates(site(colour_bundle, tmp_path, candidate="x"), ort)[1]
    assert wrong.exit_code == ExitCode.CONFIG
    lacking = inference.candidates(config, {"ai-edge-litert": "2"})[1]
    assert (lacking.status, lacking.exit_code) == ("fail", ExitCode.UNAVAILABLE)
    assert inference.candidates(site(tmp_path / "none", tmp_path), ort)[0].exit_code == ExitCode.NO_INPUT


def test_what_a_provider_lacks_is_told(colour_bundle: Path, tmp_path: Path) -> None:
    why = "CUDAExecutionProvider was left out of the session: libcublasLt.so.13: cannot open shared object file"
    auto, named = site(colour_bundle, tmp_path), site(colour_bundle, tmp_path, provider="cuda")
    (line,) = inference.providers(auto, {"cuda": why})
    assert (line.status, why in line.found) == ("warn", True)
    (line,) = inference.providers(named, {"cuda": why})
    assert (line.status, line.found, line.exit_code) == ("fail", why, ExitCode.UNAVAILABLE)
    assert inference.providers(auto, {"tensorrt": None}) == [ok("provider", "tensorrt can be had")]


def test_a_named_provider_is_tried_and_one_that_the_runtime_lacks_fails(colour_bundle: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    lines = inference.candidates(site(colour_bundle, tmp_path, provider="acl"), {"onnxruntime": "1"})
    assert ("fail", "provider") in [(line.status, line.area) for line in lines]
    assert "has no ACLExecutionProvider" in next(line.found for line in lines if line.area == "provider")


def test_a_choice_made_without_what_can_be_had_now_should_be_made_again(
    colour_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    config = site(colour_bundle, tmp_path)
    bundle = models.find_bundle(config)
    gone = Row(
        candidate="onnx-a", precision="fp32", bytes=1, p50_ms=None, p90_ms=None, logit_cosine=None, top1_agreement=None,
        passes=False, margin=None, reason="no driver", runtime="", place="tensorrt-fp16", missing=True,
    )  # fmt: skip
    loader = models.build_loader(config, bundle, models.find_model(bundle, None))
    models.choice_store(config).remember(loader.key, Choice(candidate="onnx-a", place="cuda", reason="fastest", rows=(gone,)))
    built = dataclasses.replace(ort.RUNTIME, built_with=lambda: ("TensorrtExecutionProvider", "CPUExecutionProvider"))
    monkeypatch.setattr(ort, "RUNTIME", dataclasses.replace(built, fault=lambda _: None))
    lines = inference.candidates(config, {"onnxruntime": "1"})
    assert lines[2] == ok("candidate", "onnx-a on cuda: fastest")
    assert (lines[3].status, lines[3].fix) == ("warn", "shelfcam choose")
    assert "can be had now, but not when it was chosen: no driver" in lines[3].found
    monkeypatch.setattr(ort, "RUNTIME", dataclasses.replace(built, fault=lambda _: "still no driver"))
    assert len(inference.candidates(config, {"onnxruntime": "1"})) == 3


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the runtime's own Delegate.__del__
def test_a_delegate_that_cannot_be_loaded_fails(colour_bundle: Path, tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    config = site(colour_bundle, tmp_path, delegate=str(tmp_path / "libgone.so"))
    line = next(line for line in inference.candidates(config, {"onnxruntime": "1"}) if line.area == "delegate")
    assert (line.status, line.exit_code) == ("fail", ExitCode.UNAVAILABLE)
    assert "libgone.so" in line.found


class Broker(msgspec.Struct, tag="mqtt", tag_field="kind"):
    host: str
    port: int


class Hook(msgspec.Struct, tag="webhook", tag_field="kind"):
    url: str


def test_slots_need_a_reference_that_they_lie_in(tmp_path: Path) -> None:
    site = default_config()
    assert shelf.slots(site) == []
    site = msgspec.structs.replace(
        site, slot=(SlotConfig(name="A", box=(10, 10, 90, 60)),), state=StateConfig(dir=str(tmp_path))
    )
    (line,) = shelf.slots(site)
    assert (line.status, "shelfcam reference" in (line.fix or "")) == ("warn", True)
    reference.save(tmp_path / site.camera.name, reference.Reference(np.zeros((64, 96, 3), np.uint8)))
    assert shelf.slots(site)[0] == ok("slots", "1, reference of 96×64 pixels")
    reference.save(tmp_path / site.camera.name, reference.Reference(np.zeros((48, 96, 3), np.uint8)))
    assert (shelf.slots(site)[0].status, shelf.slots(site)[0].exit_code) == ("fail", ExitCode.CONFIG)


def test_pictures_are_counted_and_left_ones_are_told(tmp_path: Path) -> None:
    off = msgspec.structs.replace(default_config(), state=StateConfig(dir=str(tmp_path)))
    on = msgspec.structs.replace(off, slot=(SlotConfig(name="A", box=(0, 0, 9, 9)),), pictures=PicturesConfig(max_mb=5))
    user = access.current_user()
    assert list(shelf.pictures(off, user)) == []
    (line,) = shelf.pictures(on, user)
    assert (line.status, line.found.split(";")[0]) == ("ok", "0 files, 0.0 MB")
    album = tmp_path / "camera" / "pictures"
    put(album, {"camera-000000000001-before.jpg": "x" * 250_000, "camera-000000000001-after.jpg": "x", "other.jpg": "x"})
    os.utime(album / "camera-000000000001-before.jpg", (time.time() - 3 * 86_400,) * 2)
    (line,) = shelf.pictures(on, user)
    assert line.found.startswith("2 files, 0.3 MB, the oldest 3.0 days old; at most 5 MB and 7 days, in ")
    (line,) = shelf.pictures(off, user)
    assert (line.status, f"rm {album}/camera-*.jpg" in (line.fix or "")) == ("warn", True)
    stranger = access.User("stranger", 12_345, frozenset())
    tmp_path.chmod(0o700)
    (line,) = shelf.pictures(on, stranger)
    assert (line.status, "none can be stored" in line.found, line.exit_code) == ("warn", True, 0)


def test_brokers_are_connected_to_and_no_secret_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        lines = network.brokers(
            [Broker("127.0.0.1", port), Hook(f"http://me:hidden@127.0.0.1:{port}/x"), *default_config().sink]
        )
        assert [line.status for line in lines] == ["ok", "ok"]
        assert "hidden" not in lines[1].found
    gone = network.brokers([Broker("127.0.0.1", port)])[0]
    assert (gone.status, gone.exit_code) == ("fail", ExitCode.UNAVAILABLE)


@pytest.mark.parametrize(
    ("shown", "status", "code"),
    [
        (None, "ok", 0),
        ({"LoadState": "not-found"}, "warn", 0),
        ({"LoadState": "loaded", "ActiveState": "active", "UnitFileState": "enabled", "NRestarts": "2"}, "ok", 0),
        ({"LoadState": "loaded", "ActiveState": "active", "UnitFileState": "disabled"}, "warn", 0),
        ({"LoadState": "loaded", "ActiveState": "activating", "SubState": "start"}, "warn", 0),
        ({"LoadState": "loaded", "ActiveState": "inactive"}, "warn", 0),
        (
            {"LoadState": "loaded", "ActiveState": "failed", "Result": "exit-code", "ExecMainStatus": "78"},
            "fail",
            ExitCode.CONFIG,
        ),
        (
            {"LoadState": "loaded", "ActiveState": "failed", "Result": "signal", "ExecMainStatus": "9"},
            "fail",
            ExitCode.UNAVAILABLE,
        ),
    ],
)
def test_what_systemd_says(shown: dict[str, str] | None, status: str, code: int) -> None:
    asked: list[str] = []
    line = unit.unit(Path("/etc/shelfcam/shelf-1.toml"), lambda name: asked.append(name) or shown)
    assert (line.status, line.exit_code, asked) == (status, code, ["shelfcam@shelf-1.service"])


def test_the_service_has_its_state_where_systemd_puts_it(tmp_path: Path) -> None:
    assert as_service(default_config(), tmp_path).state.dir == str(tmp_path)
    assert as_service(default_config(), tmp_path / "none").state.dir is None
    own = msgspec.structs.replace(default_config(), state=StateConfig(dir="/own"))
    assert as_service(own, tmp_path).state.dir == "/own"


def test_a_config_that_is_wrong_fails_with_its_code_and_the_machine_is_looked_at_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "shelf-1.toml"
    path.write_text("config_version = 1\n[camera]\nsuorce = 'x'\n")
    lines = list(examine(path))
    assert exit_code(lines) == ExitCode.CONFIG
    assert {"board", "clock", "runtime", "config", "unit"} <= {line.area for line in lines}


def test_what_the_check_has_told_is_not_told_again(tmp_path: Path) -> None:
    path = tmp_path / "shelf-1.toml"
    path.write_text("config_version = 1\n[model]\nbundle = 'none'\n[state]\ndir = 'state'\n")
    lines = list(examine(path))
    assert sum(line.area == "bundle" for line in lines) == 1
    assert exit_code(lines) == ExitCode.NO_INPUT


def test_the_command(tmp_path: Path, colour_bundle: Path) -> None:
    path = tmp_path / "shelf-1.toml"
    source = "synthetic:fps=10"
    path.write_text(
        f"config_version = 1\n[camera]\nsource = '{source}'\n[model]\nbundle = '{colour_bundle}'\n[state]\ndir = 'state'\n"
    )
    command = [sys.executable, "-m", "edge.cli", "doctor", "--config", str(path)]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=False, cwd=ROOT)
    report = json.loads(done.stdout)
    assert done.returncode == report["exit_code"]
    found = {line["area"]: line for line in report["lines"]}
    assert (found["config"]["status"], found["source"]["found"], found["state"]["status"]) == ("ok", source, "ok")
    assert {"runtime", "candidate", "unit", "python", "system"} <= found.keys()
    assert not (tmp_path / "state").exists(), "nothing is made"
    table = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT).stdout
    assert all(line.startswith(("ok ", "warn ", "fail ", "    ")) for line in table.splitlines()), table
