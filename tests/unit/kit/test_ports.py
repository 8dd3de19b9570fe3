"""Ports of loopback: free ones are drawn, and one that is taken is told with what to do."""

import socket

import pytest

from kit import ports


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2"])
def test_a_port_that_is_in_use_is_told_with_its_address(host: str) -> None:
    """The message names who wants it, the address, and how to go on; a port that was drawn is taken."""
    port = ports.free(host)
    ports.require(host, port, "the relay")
    with socket.create_server((host, port)), pytest.raises(ports.PortInUseError) as caught:
        ports.require(host, port, "the relay")
    assert f"the relay has to listen at {host}:{port}, and something else does" in str(caught.value)
    assert "start again" in str(caught.value)
