"""The address at which the search page is served, and why it cannot be."""

import errno
import socket
from dataclasses import dataclass

from replearn.errors import UsageError


@dataclass(frozen=True)
class Address:
    """The address of the page.

    Attributes:
        host: name or address of this machine, at which it listens.
        port: that it listens at.
        root_path: the path below which a server in front of it shows it, as `/search`, or the whole
            address; None without such a server.
    """

    host: str
    port: int
    root_path: str | None = None

    def check(self) -> None:
        """Refuse an address that cannot be listened at.

        Raises:
            UsageError: the host is not this machine, or the port is taken or not allowed.
        """
        try:
            kind, _, _, _, place = socket.getaddrinfo(
                self.host, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            with socket.socket(kind, socket.SOCK_STREAM) as tried:
                tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                tried.bind(place)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            if error.errno == errno.EADDRINUSE:
                raise UsageError(f"--port {self.port}: taken; give another") from None
            if error.errno == errno.EACCES:
                raise UsageError(f"--port {self.port}: {reason}; give one above 1023") from None
            raise UsageError(
                f"--host {self.host}: not an address of this machine ({reason}); give 127.0.0.1, "
                "0.0.0.0 for all of them, or one of `ip address`"
            ) from None
