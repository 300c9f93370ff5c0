# SPDX-License-Identifier: Apache-2.0
"""Free loopback ports."""
import random
import socket
from typing import Set

_FIRST = 15000


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As the servers do: a port in TIME_WAIT counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _first_ephemeral() -> int:
    try:
        with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
            return int(file.read().split()[0])
    except (OSError, ValueError):
        return 32768


class Ports:
    """Never gives the same port twice.

    Ports lie below the ephemeral range: a client that reconnects to a killed server there could be
    given the server's own port as its local one, connect to itself, and keep the server from
    coming back.
    """

    def __init__(self) -> None:
        self._given: Set[int] = set()

    def choose(self) -> int:
        last = _first_ephemeral() - 1
        if last < _FIRST + 1000:
            last = 65535
        while True:
            port = random.randint(_FIRST, last)
            if port not in self._given and is_free(port):
                self._given.add(port)
                return port
