"""A config that is wrong says where and what would be right."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.board.boards import thread_count
from edge.config import DeviceConfig, default_config, load_config, pictures_directory, state_directory
from edge.errors import ConfigError, ExitCode, InputMissingError
from edge.secret import show_url
from edge.sink_config import JsonLinesConfig, MqttConfig, WebhookConfig
from edge.sinks import sink_key


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "shelf.toml"
    path.write_text(text)
    return path


def test_the_smallest_config_is_its_version(tmp_path: Path) -> None:
    assert load_config(write(tmp_path, "config_version = 1\n")) == default_config()


def test_everything_is_read_and_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    config = load_config(
        write(
            tmp_path,
            """
            config_version = 1
            [camera]
            name = "shelf-3"
            source = "synthetic:fps=5"
            timeout_ms = 500
            [model]
            bundle = "bundles/a"
            candidate = "onnx-int8"
            threads = 2
            [[sink]]
            kind = "jsonl"
            path = "events.jsonl"
            [[sink]]
            kind = "jsonl"
            [state]
            dir = "/var/lib/x"
            """,
        )
    )
    assert config.camera.name == "shelf-3"
    assert config.model.bundle == str(tmp_path / "bundles/a")
    assert config.sink == (JsonLinesConfig(path=str(tmp_path / "events.jsonl")), JsonLinesConfig(path="-"))
    assert state_directory(config) == Path("/var/lib/x/shelf-3")


@pytest.mark.parametrize(
    ("text", "named", "fix"),
    [
        (
            "[camera]\nfpz = 3",
            "'camera.fpz'",
            "allowed here: ca_file, frozen_ms, insecure, max_megapixels, name, open_timeout_ms",
        ),
        ("[camera]\nca_file = 'a.pem'", "camera: ca_file needs an https or rtsps source", None),
        ("[camera]\nsource = 'rtsp://h/1'\ninsecure = true", "camera: insecure needs an https or rtsps source", None),
        ("[camera]\nsource = 'https://h/1'\nca_file = 'a'\ninsecure = true", "camera: ca_file says whom to trust", None),
        ("[camera]\nsource = 'https://h/1'\ninsecure = 1", "camera.insecure", None),
        ("[camera]\ntimeout = 3", "'camera.timeout'", "did you mean 'timeout_ms'"),
        ("[modle]\nname = 'x'", "'modle'", "did you mean 'model'"),
        ("[[sink]]\nkind = 'jsonl'\npaht = 'x'", "'sink[0].paht'", "did you mean 'path'"),
        ("[camera]\ntimeout_ms = '5'", "camera.timeout_ms: expected int", None),
        ("[camera]\ntimeout_ms = 1", "camera.timeout_ms", None),
        ("[camera]\nname = 'a/b'", "camera.name", None),
        (
            "[[sink]]\nkind = 'mqtt5'",
            "sink[0].kind: unknown kind 'mqtt5'",
            "did you mean 'mqtt'? allowed here: jsonl, mqtt, webhook",
        ),
        ("[[sink]]\nkind = 5", "sink[0].kind", None),
        ("[[sink]]\npath = 'x'", "kind", None),
        ("[[sink]]\nkind = 'mqtt'\nhost = 'h'\nprot = 1", "'sink[0].prot'", "did you mean 'port'"),
        ("[[sink]]\nkind = 'mqtt'\nhost = 'h'\npath = 'x'", "'sink[0].path'", "allowed here: ca_file, cert_file, client_id,"),
        ("[[sink]]\nkind = 'mqtt'", "sink[0]: object missing required field host", None),
        ("[[sink]]\nkind = 'mqtt'\nhost = 'h'\nca_file = 'x'", "ca_file and cert_file need tls = true", None),
        ("[[sink]]\nkind = 'mqtt'\nhost = 'h'\ntls = true\nkey_file = 'x'", "key_file needs cert_file", None),
        ("[[sink]]\nkind = 'mqtt'\nhost = 'h'\npassword_file = 'x'", "password_file needs username", None),
        ("[[sink]]\nkind = 'mqtt'\nhost = 'h'\ntopic_prefix = 'a/#'", "topic_prefix", None),
        ("[[sink]]\nkind = 'webhook'\nurl = 'https://me:pw@host/'", "sink[0].url", None),
        ("[[sink]]\nkind = 'webhook'\nurl = 'ftp://host/'", "sink[0].url", None),
        ("[[sink]]\nkind = 'webhook'\nurl = 'http://h/'\nca_file = 'x'", "ca_file needs an https url", None),
        ("[[sink]]\nkind = 'webhook'\nurl = 'http://host:99999/'", "sink[0]: port out of range", None),
        ("[[sink]]\nkind = 'webhook'\nurl = 'http://host:x/'", "sink[0]: port could not be cast", None),
        ("[[sink]]\nkind = 'webhook'\nurl = 'http://host/é'", "sink[0].url", None),
        ("[model]\nprovider = 'gpu'", "model.provider", None),
        ("[model]\nnice = -5", "model: nice below 0 needs a privilege", None),
        ("[model]\nnice = 20", "model.nice", None),
        ("[model]\naffinity = [-1]", "model.affinity[0]", None),
        ("[model]\nprovider = 'delegate'", "model: provider delegate needs delegate", None),
        ("[model]\nprovider = 'cuda'\ndelegate = 'x.so'", "model: delegate is not used with provider cuda", None),
        ("[model]\n[model.delegate_options]\na = '1'", "model: delegate_options need delegate", None),
        ("[model]\ndelegate = 'x.so'\n[model.delegate_options]\na = 1", "model.delegate_options[...]: expected str", None),
        ("[outbox]\nmax_mb = 0", "outbox.max_mb", None),
        ("[outbox]\nmax_days = 3", "'outbox.max_days'", "did you mean 'max_age_days'"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, named: str, fix: str | None) -> None:
    path = write(tmp_path, f"config_version = 1\n{text}\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert named in str(caught.value)
    assert str(path) in str(caught.value)
    assert fix is None or fix in (caught.value.fix or "")
    assert caught.value.exit_code == ExitCode.CONFIG


def test_every_kind_of_sink_is_read_with_its_files_relative_to_the_config(tmp_path: Path) -> None:
    config = load_config(
        write(
            tmp_path,
            """
            config_version = 1
            [outbox]
            max_mb = 16
            [[sink]]
            kind = "mqtt"
            host = "broker.shop"
            tls = true
            ca_file = "ca.pem"
            username = "cam"
            password_file = "/etc/shelfcam/password"
            [[sink]]
            kind = "webhook"
            url = "https://shop.example/events?key=1"
            secret_file = "secret"
            """,
        )
    )
    mqtt, webhook = config.sink
    assert isinstance(mqtt, MqttConfig)
    assert isinstance(webhook, WebhookConfig)
    assert (mqtt.ca_file, mqtt.password_file) == (str(tmp_path / "ca.pem"), "/etc/shelfcam/password")
    assert webhook.secret_file == str(tmp_path / "secret")
    assert config.outbox.max_mb == 16
    assert [sink_key(sink) for sink in config.sink] == ["mqtt:broker.shop:None/shelfcam", f"webhook:{show_url(webhook.url)}"]


@pytest.mark.parametrize(
    ("source", "resolved"),
    [
        ("stills", "{dir}/stills"),
        ("image:a.png", "image:{dir}/a.png"),
        ("/abs/a.png", "/abs/a.png"),
        ("synthetic:fps=5", "synthetic:fps=5"),
        ("v4l2:0", "v4l2:0"),
        ("v4l2:/dev/video0,fps=15", "v4l2:/dev/video0,fps=15"),
        ("picamera2:0", "picamera2:0"),
        ("rtsp://me@host/1", "rtsp://me@host/1"),
        ("http://host/a.mp4", "http://host/a.mp4"),
        ("gstreamer:filesrc location=a.mp4", "gstreamer:filesrc location=a.mp4"),
    ],
)
def test_a_source_that_is_a_path_is_relative_to_the_file(tmp_path: Path, source: str, resolved: str) -> None:
    config = load_config(write(tmp_path, f'config_version = 1\n[camera]\nsource = "{source}"\n'))
    assert config.camera.source == resolved.format(dir=tmp_path)


def test_a_password_file_is_relative_to_the_file(tmp_path: Path) -> None:
    text = 'config_version = 1\n[camera]\nsource = "rtsp://me@host/1"\npassword_file = "secrets/camera"\n'
    assert load_config(write(tmp_path, text)).camera.password_file == f"{tmp_path}/secrets/camera"


def test_toml_nested_without_end_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not TOML"):
        load_config(write(tmp_path, "config_version = 1\nx = " + "[" * 20_000))


@pytest.mark.parametrize("text", ["", "config_version = 2", "config_version = '1'", "config_version = [", "\xff"])
def test_no_or_another_version_or_no_toml(tmp_path: Path, text: str) -> None:
    path = tmp_path / "c.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"c\.toml"):
        load_config(path)


def test_a_missing_file_is_missing_input(tmp_path: Path) -> None:
    with pytest.raises(InputMissingError, match=r"none\.toml"):
        load_config(tmp_path / "none.toml")


@given(st.text(max_size=80))
def test_any_text_is_a_config_or_a_config_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        outcome: object = load_config(path)
    except ConfigError as error:
        outcome = str(error)
    assert isinstance(outcome, DeviceConfig) or "any.toml" in str(outcome)


def test_systemd_state_directory_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/shelfcam:/other")
    assert state_directory(default_config()) == Path("/var/lib/shelfcam/camera")


def test_where_the_model_runs(tmp_path: Path) -> None:
    text = """
        config_version = 1
        [model]
        delegate = "lib/libX.so"
        delegate_options = { device = "1" }
        affinity = [2, 3]
        nice = 5
        """
    model = load_config(write(tmp_path, text)).model
    assert model.delegate == str(tmp_path / "lib/libX.so")
    assert (model.provider, model.delegate_options, model.affinity, model.nice) == ("auto", {"device": "1"}, (2, 3), 5)
    bare = load_config(write(tmp_path, 'config_version = 1\n[model]\ndelegate = "libX.so.1"\n')).model
    assert bare.delegate == "libX.so.1", "the loader looks for it"


def test_threads_default_to_the_cpus_that_the_process_keeps_to() -> None:
    assert thread_count(0, (5,)) == 1
    assert thread_count(0, (2, 3, 3)) == 2
    assert thread_count(0, range(12)) == 4
    assert thread_count(7, (2,)) == 7


def test_threads_default_to_the_cpus_at_most_four() -> None:
    assert thread_count(3) == 3
    if sys.platform == "linux":
        assert 1 <= thread_count(0) <= 4


SLOTS = 'config_version = 1\n[[slot]]\nname = "A"\n{place}\n'


def test_slots_and_shelf(tmp_path):
    path = tmp_path / "c.toml"
    quad = "quad = [[0.1, 0.1], [0.4, 0.1], [0.4, 0.5], [0.1, 0.5]]"
    path.write_text(
        SLOTS.format(place="box = [10, 20, 110, 220]") + f'[[slot]]\nname = "B"\n{quad}\n[shelf]\ndwell_ms = 1500\n'
    )
    config = load_config(path)
    assert config.slot[0].corners == ((10, 20), (110, 220))
    assert config.slot[1].corners[2] == (0.4, 0.5)
    assert (config.shelf.dwell_ms, config.shelf.refresh_s) == (1500, 600)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (SLOTS.format(place=""), "slot 'A' needs either box or quad"),
        (SLOTS.format(place="box = [1, 2, 3]"), r"slot\[0\]\.box"),
        (SLOTS.format(place="box = [0, 0, 9, 9]\nboxx = 1"), r"unknown key 'slot\[0\]\.boxx'"),
        (
            SLOTS.format(place="box = [0, 0, 9, 9]") * 1 + '[[slot]]\nname = "A"\nbox = [0, 0, 9, 9]\n',
            "slot 'A' is there twice",
        ),
        ("config_version = 1\n[shelf]\ndwell_ms = 5\n", r"shelf\.dwell_ms"),
    ],
)
def test_slots_that_cannot_be(tmp_path, text, words):
    path = tmp_path / "c.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words):
        load_config(path)


SLOT = "[[slot]]\nname = 'A1'\nbox = [0, 0, 9, 9]\n"


def test_pictures_are_off_unless_the_table_is_there(tmp_path: Path) -> None:
    assert load_config(write(tmp_path, f"config_version = 1\n{SLOT}")).pictures is None
    text = f"config_version = 1\n[state]\ndir = 'state'\n{SLOT}[pictures]\n"
    config = load_config(write(tmp_path, text))
    assert config.pictures is not None
    assert (config.pictures.max_mb, config.pictures.max_age_days) == (64, 7)
    assert pictures_directory(config) == tmp_path / "state" / "camera" / "pictures"
    config = load_config(write(tmp_path, text + "dir = 'album'\nmax_mb = 5\nmax_side_px = 64\nquality = 70\n"))
    assert pictures_directory(config) == tmp_path / "album"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[pictures]\n", "needs slots"),
        (f"{SLOT}[pictures]\nmax_mb = 0\n", "pictures.max_mb"),
        (f"{SLOT}[pictures]\nmax_age_days = 0\n", "pictures.max_age_days"),
        (f"{SLOT}[pictures]\nquality = 101\n", "pictures.quality"),
        (f"{SLOT}[pictures]\nmax_side_px = 5000\n", "pictures.max_side_px"),
        (f"{SLOT}[pictures]\nmax_gb = 1\n", "pictures.max_gb"),
    ],
)
def test_pictures_that_cannot_be(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        load_config(write(tmp_path, f"config_version = 1\n{text}"))


def test_a_bundle_of_the_package_is_no_path(tmp_path: Path) -> None:
    assert (
        load_config(write(tmp_path, "config_version = 1\n[model]\nbundle = 'builtin:imagenet'\n")).model.bundle
        == "builtin:imagenet"
    )
    own = load_config(write(tmp_path, "config_version = 1\n[model]\nbundle = 'own'\n"))
    assert own.model.bundle == str(tmp_path / "own")


def test_what_belongs_to_the_configs_own_camera_goes_to_no_other(tmp_path: Path) -> None:
    table = "source = 'rtsps://me@camera/1'\npassword_file = 'pw'\nca_file = 'camera.pem'\nread_timeout_ms = 777"
    camera = load_config(write(tmp_path, f"config_version = 1\n[camera]\n{table}\n")).camera
    assert camera.ca_file == str(tmp_path / "camera.pem")
    assert camera.of(camera.source) == camera
    other = camera.of("rtsps://other/1")
    assert (other.source, other.password_file, other.ca_file, other.insecure) == ("rtsps://other/1", None, None, False)
    assert other.read_timeout_ms == 777


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('[recovery]\ndaemon = "nvargus-daemon\\n"', "recovery.daemon"),
        ('[metrics]\nlisten = "127.0.0.1:9090\\n"', "metrics.listen"),
        ('[metrics]\nhosts = ["shelf\\n"]', "metrics.hosts"),
        ('[[sink]]\nkind = "mqtt"\nhost = "broker\\n"', "host"),
        ('[[sink]]\nkind = "webhook"\nurl = "https://shop.example/x\\n"', "url"),
    ],
)
def test_a_line_break_at_the_end_is_part_of_no_name(tmp_path: Path, text: str, key: str) -> None:
    path = tmp_path / "shelf.toml"
    path.write_text(f"config_version = 1\n{text}\n")
    with pytest.raises(ConfigError, match=re.escape(key)):
        load_config(path)


def test_what_a_source_file_holds_has_to_go_with_the_other_keys(tmp_path: Path) -> None:
    (tmp_path / "source").write_text("http://me:hush-hush@camera/video\n")
    path = tmp_path / "shelf.toml"
    path.write_text('config_version = 1\n[camera]\nsource_file = "source"\ninsecure = true\n')
    with pytest.raises(ConfigError, match=r"shelf\.toml: camera: insecure needs an https or rtsps source") as caught:
        load_config(path)
    assert "hush-hush" not in f"{caught.value} {caught.value.fix}"
    (tmp_path / "source").write_text("https://me:hush-hush@camera/video\n")
    assert load_config(path).camera.insecure
