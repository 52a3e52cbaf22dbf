"""Which ports can be had."""

from __future__ import annotations

import errno
import socket

import pytest

from fabric.lab import forward
from reddog.fabric import MachineError, ports


@pytest.mark.parametrize(("kind", "protocol"), [(socket.SOCK_STREAM, "tcp"), (socket.SOCK_DGRAM, "udp")])
def test_a_port_that_somebody_has_cannot_be_bound(kind: int, protocol: str) -> None:
    with socket.socket(socket.AF_INET, kind) as holder:
        holder.bind(("127.0.0.1", 0))
        if protocol == "tcp":
            holder.listen()
        port = holder.getsockname()[1]
        assert not ports.can_bind("127.0.0.1", port, protocol)
        assert ports.can_bind("127.77.0.9", port, protocol), "another address has ports of its own"
        with pytest.raises(MachineError, match=f"{protocol} 127.0.0.1:{port}") as caught:
            ports.check_bindable(forward(port, protocol=protocol))
        assert caught.value.code == "PortInUse"
    assert ports.can_bind("127.0.0.1", port, protocol)
    ports.check_bindable(forward(port, protocol=protocol))


def test_the_lowest_port_is_what_this_user_may_use() -> None:
    lowest = ports.lowest_bindable_port("127.0.0.1")
    assert 0 <= lowest <= 65535
    allowed = ports._bind_error("127.0.0.1", max(lowest, 1), "tcp")
    assert allowed in (None, errno.EADDRINUSE)


def test_without_privileges_low_ports_are_forbidden_and_the_way_out_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(address: str, port: int, protocol: str) -> int | None:
        return errno.EACCES if port < 1024 else None

    monkeypatch.setattr(ports, "_bind_error", refuse)
    monkeypatch.setattr(ports, "_UNPRIVILEGED", ports.Path("/nowhere"))
    assert ports.lowest_bindable_port("127.0.0.1") == 1024
    with pytest.raises(MachineError, match=r"127\.0\.0\.1:22 .*1024.*ip_unprivileged_port_start") as caught:
        ports.check_bindable(forward(22))
    assert caught.value.code == "PortForbidden"


def test_an_address_of_another_host_is_refused() -> None:
    with pytest.raises(MachineError) as caught:
        ports.lowest_bindable_port("192.0.2.1")
    assert caught.value.code == "InvalidSpec"
