"""What a configuration that is read again may change."""

from __future__ import annotations

import msgspec
import pytest

from edge.config import ModelConfig, default_config
from edge.errors import ConfigError
from edge.service.reload import refuse_fixed


def test_cpus_and_priority_are_those_of_the_start() -> None:
    def site(**model: object):
        return msgspec.structs.replace(default_config(), model=ModelConfig(**model))

    refuse_fixed(site(affinity=(0, 1)), site(affinity=(1, 0), provider="cpu", threads=2))
    for key, changed in (("affinity", site(affinity=(1,))), ("nice", site(nice=5))):
        with pytest.raises(ConfigError, match=rf"model\.{key} cannot change while the service runs"):
            refuse_fixed(site(), changed)
