"""Environments of peers: whole, or not at all."""

import pytest

from bench.peers.environment import python_with
from models.errors import SkipstoneError


def test_a_package_that_cannot_be_installed_leaves_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("SKIPSTONE_BUILD", str(tmp_path))
    with pytest.raises(SkipstoneError, match=r"the environment of other could not be made: .*no-such-package"):
        python_with("other", [str(tmp_path / "no-such-package")])
    assert not list((tmp_path / "sim").glob("other-*"))
