"""Where events go: the registry of sinks, each imported only when the config names it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from edge.sink_config import SinkConfig
    from edge.sinks.base import Sink, SinkFactory, SinkSite

SINKS = {
    "jsonl": "edge.sinks.jsonl:JsonLines",
    "mqtt": "edge.sinks.mqtt:Mqtt",
    "webhook": "edge.sinks.webhook:Webhook",
}
"""Kind of sink → ``module:class``."""


def sink_key(config: SinkConfig) -> str:
    """What the outbox remembers a sink by: its kind and where it leads, without secrets. Another key is another sink."""
    return f"{config.__struct_config__.tag}:{config.where}"


def build_sink(config: SinkConfig, site: SinkSite) -> Sink:
    """The sink of one ``[[sink]]`` table; it connects when it first writes.

    Raises:
        ConfigError: a library, certificate or secret that it needs is not there.
        SinkError: a path cannot be written.
    """
    kind = str(config.__struct_config__.tag)
    module, _, attribute = SINKS[kind].partition(":")
    factory = cast("SinkFactory", getattr(importlib.import_module(module), attribute))
    return factory(config, site)
