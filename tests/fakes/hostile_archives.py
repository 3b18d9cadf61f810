"""What tests of hostile files share."""

from __future__ import annotations

import zipfile

import pytest

pytest.importorskip("torch")


from edge.errors import DataError
from export.load.assemble import load
from export.load.spec import ModelSpec
from tests.fakes.tiny_net import SIZE


def refused(path, match):
    """By the whole way, through the confined child."""
    with pytest.raises(DataError, match=match) as caught:
        load(ModelSpec(str(path), size_hw_px=(SIZE, SIZE)))
    assert path.name in str(caught.value)


def changed(path, change, compression=zipfile.ZIP_STORED):
    """The same archive with ``change(name, content)`` in the place of each record's content."""
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in records.items():
            archive.writestr(name, change(name, content))
    return path
