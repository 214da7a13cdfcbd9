"""Bundled data are read from the disk and from nowhere else."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from ftkit.data import load_data
from ftkit.data.bundled import NAMES


@pytest.mark.parametrize("name", NAMES)
def test_no_bundled_data_opens_a_socket(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **_: Any) -> None:
        raise AssertionError(f"a socket was opened: {args[1:]}")

    for method in ("connect", "connect_ex", "bind", "sendto"):
        monkeypatch.setattr(socket.socket, method, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    data = load_data(name)
    assert len(data.train) + len(data.test)
