"""Put on PYTHONPATH of a lesson's kernel: every connection to another machine is refused, as on a plane."""

import socket

_connect = socket.socket.connect
_LOCAL = ("127.", "localhost", "::1")


def _refuse(self: socket.socket, address: object) -> None:
    host = address[0] if isinstance(address, tuple) else ""
    if self.family == getattr(socket, "AF_UNIX", None) or str(host).startswith(_LOCAL):
        return _connect(self, address)
    raise OSError(f"this test has no network: {address}")


socket.socket.connect = _refuse  # type: ignore[method-assign]
socket.socket.connect_ex = lambda self, address: 101 if _blocked(self, address) else 0  # type: ignore[method-assign]


def _blocked(self: socket.socket, address: object) -> bool:
    try:
        _refuse(self, address)
    except OSError:
        return True
    return False
