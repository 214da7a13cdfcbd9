"""Put on PYTHONPATH of a lesson's kernel: every connection to another machine is refused, as on a plane.

Refused attempts are written into the file that NETBLOCK_LOG names: a lesson that merely copes without a network has
still tried.
"""

import os
import socket

_connect, _lookup = socket.socket.connect, socket.getaddrinfo
_LOCAL = ("127.", "localhost", "::1", "0.0.0.0", socket.gethostname() or "localhost")


def _refuse(self: socket.socket, address: object) -> None:
    host = address[0] if isinstance(address, tuple) else ""
    if self.family == getattr(socket, "AF_UNIX", None) or str(host).startswith(_LOCAL):
        return _connect(self, address)
    _note(address)
    raise OSError(f"this test has no network: {address}")


def _note(address: object) -> None:
    if log := os.environ.get("NETBLOCK_LOG"):
        with open(log, "a", encoding="utf8") as file:
            file.write(f"{address}\n")


def _look_up(host: object, *args: object, **options: object) -> object:
    """Asking for the address of another machine is a use of the network, too."""
    name = host.decode() if isinstance(host, bytes) else str(host or "")
    if name and not name.startswith(_LOCAL):
        _note(host)
        raise socket.gaierror(f"this test has no network: {host}")
    return _lookup(host, *args, **options)  # type: ignore[arg-type]


socket.getaddrinfo = _look_up  # type: ignore[assignment]
socket.socket.connect = _refuse  # type: ignore[method-assign]
socket.socket.connect_ex = lambda self, address: 101 if _blocked(self, address) else 0  # type: ignore[method-assign]


def _blocked(self: socket.socket, address: object) -> bool:
    try:
        _refuse(self, address)
    except OSError:
        return True
    return False
