"""A camera's vitals as Prometheus metrics (https://prometheus.io/docs/instrumenting/writing_exporters/): read when they are asked for,
so that the loop pays nothing for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from edge.board.thermal import Thermal
from edge.errors import ConfigError
from edge.monitor.stopwatch import BOUNDS_S, Histogram
from edge.monitor.vitals import Health, OutboxStatus

if TYPE_CHECKING:
    from prometheus_client.core import Metric


class Exposition:
    """Makes the text of /metrics.

    Args:
        health: judges the camera now.
        histograms: of the loop's stages.
        thermal: asks the board.
        outbox: says how events are getting on; None while nobody can say.

    Raises:
        ConfigError: prometheus-client is not installed.
    """

    def __init__(
        self,
        health: Callable[[], Health],
        histograms: Callable[[], dict[str, Histogram]],
        thermal: Callable[[], Thermal],
        outbox: Callable[[], OutboxStatus | None] = lambda: None,
    ) -> None:
        try:
            import prometheus_client
        except ImportError as error:
            fix = "pip install 'prometheus-client>=0.21', or remove [metrics] from the config"
            raise ConfigError(f"[metrics] needs prometheus-client: {error}", fix=fix) from error
        self._health, self._histograms, self._thermal, self._outbox = health, histograms, thermal, outbox
        self._registry = prometheus_client.CollectorRegistry()
        self._registry.register(self)
        prometheus_client.ProcessCollector(registry=self._registry)
        self._generate: Callable[[Any], bytes] = prometheus_client.generate_latest
        self.content_type = prometheus_client.CONTENT_TYPE_LATEST

    def text(self) -> bytes:
        """Everything, in the text format of Prometheus."""
        return self._generate(self._registry)

    def describe(self) -> list[Metric]:
        """Nothing: the registry then does not collect once just to learn the names."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Called by the registry for each request."""
        health = self._health()
        yield from _camera(health)
        yield _stages(self._histograms())
        yield from _board(self._thermal())
        status = self._outbox()
        if status is not None:
            yield from _events(status)


def _camera(health: Health) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily

    signs = health.signs
    about = {"camera": signs.camera, "bundle": signs.bundle, "model": signs.model}
    yield InfoMetricFamily("shelfcam_camera", "What runs: camera, bundle@hash and model/candidate.", value=about)
    counters = {
        "frames_in": ("Frames that the source delivered, dropped ones included.", signs.frames + signs.dropped + signs.held),
        "frames_processed": ("Frames that went through the whole loop.", signs.frames),
        "frames_dropped": ("Frames that a newer one replaced before the loop took them.", signs.dropped),
        "frames_held": ("Frames that were not let through because the board was hot.", signs.held),
        "files_skipped": ("Files that could not be decoded.", signs.skipped),
        "slots_inferred": ("Slots of frames that the model was asked about.", signs.slots_inferred),
        "slots_skipped": ("Slots of frames that needed no look.", signs.slots_skipped),
        "starts": ("Starts of this camera's process since its state began.", signs.starts),
        "reloads": ("Configurations that were taken over while running.", signs.reloads),
    }
    for name, (about_it, value) in counters.items():
        yield CounterMetricFamily(f"shelfcam_{name}", about_it, value=value)
    recoveries = CounterMetricFamily("shelfcam_recoveries", "Steps that were taken to get a camera back.", labels=["step"])
    for step, count in signs.recoveries.items():
        recoveries.add_metric([step], count)
    yield recoveries
    yield GaugeMetricFamily("shelfcam_rate", "Share of the full rate; below 1 while the board is hot.", value=signs.rate)
    steps = CounterMetricFamily("shelfcam_rate_steps", "Steps of the rate.", labels=["direction"])
    steps.add_metric(["down"], signs.rate_downs)
    steps.add_metric(["up"], signs.rate_ups)
    yield steps
    yield GaugeMetricFamily(
        "shelfcam_ready", "1 after a frame of a real camera went through, while they still do.", value=health.ready
    )
    yield GaugeMetricFamily(
        "shelfcam_bundle_refused",
        "1 while the last good bundle runs because the configured one cannot.",
        value=signs.bundle_refused is not None,
    )
    yield GaugeMetricFamily("shelfcam_healthy", "0 while no frame goes through.", value=health.healthy)
    yield GaugeMetricFamily(
        "shelfcam_idle_seconds", "Since the last frame went through, or the source was opened.", value=signs.idle_s
    )
    if signs.frame_age_s is not None:
        yield GaugeMetricFamily(
            "shelfcam_frame_age_seconds", "Since the newest frame that went through was captured.", value=signs.frame_age_s
        )


def _events(status: OutboxStatus) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    yield GaugeMetricFamily("shelfcam_outbox_bytes", "Stored events, delivered ones included.", value=status.bytes)
    yield GaugeMetricFamily("shelfcam_outbox_in_memory", "Events that are not stored yet.", value=status.in_memory)
    yield GaugeMetricFamily("shelfcam_outbox_writable", "0 while nothing can be stored.", value=status.trouble is None)
    yield CounterMetricFamily("shelfcam_events_lost", "Events that no sink will get.", value=status.lost)
    waiting = GaugeMetricFamily("shelfcam_sink_waiting", "Events that wait for a sink.", labels=["sink"])
    delivered = CounterMetricFamily("shelfcam_sink_delivered", "Events that a sink has, since the start.", labels=["sink"])
    failing = GaugeMetricFamily("shelfcam_sink_failing", "1 while a sink takes nothing.", labels=["sink"])
    for sink in status.sinks:
        waiting.add_metric([sink.label], sink.waiting)
        delivered.add_metric([sink.label], sink.delivered)
        failing.add_metric([sink.label], sink.failing is not None)
    yield from (waiting, delivered, failing)


def _stages(histograms: dict[str, Histogram]) -> Metric:
    from prometheus_client.core import HistogramMetricFamily

    family = HistogramMetricFamily("shelfcam_stage_seconds", "How long a stage of the loop takes.", labels=["stage"])
    for stage, histogram in histograms.items():
        below = [*map(str, BOUNDS_S), "+Inf"]
        family.add_metric([stage], list(zip(below, accumulate(histogram.counts), strict=True)), histogram.sum_s)
    return family


def _board(thermal: Thermal) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    celsius = GaugeMetricFamily("shelfcam_temperature_celsius", "Thermal zones of the board.", labels=["zone"])
    for zone, value in thermal.celsius.items():
        celsius.add_metric([zone], value)
    now = GaugeMetricFamily("shelfcam_throttled", "1 while the board slows itself down for that cause.", labels=["cause"])
    for cause, active in thermal.throttled.items():
        now.add_metric([cause], active)
    happened = CounterMetricFamily(
        "shelfcam_throttle_events", "Since boot; boards that only know whether say 1.", labels=["cause"]
    )
    for cause, count in thermal.happened.items():
        happened.add_metric([cause], count)
    yield from (celsius, now, happened)
