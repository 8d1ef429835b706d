"""The address of the search page: what cannot be listened at is told as what it is."""

import socket

import pytest

from replearn.errors import UsageError
from replearn.retrieval.address import Address


def test_an_address_of_another_machine_is_not_told_as_a_taken_port() -> None:
    for host in ("192.0.2.1", "no-such-host.invalid"):  # of RFC 5737 and RFC 2606: nobody's
        with pytest.raises(UsageError, match=f"--host {host}: not an address of this machine"):
            Address(host, 7899).check()


def test_a_port_that_is_taken_is_told_as_taken() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UsageError, match=f"^--port {port}: taken; give another$"):
            Address("127.0.0.1", port).check()


def test_a_free_port_can_be_listened_at() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for host in ("127.0.0.1", "localhost", "0.0.0.0"):
        Address(host, port).check()
