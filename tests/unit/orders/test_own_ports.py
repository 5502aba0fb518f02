"""Ports of `orders up` and `orders demo`: free, and no two commands choose the same."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from orders.errors import OrdersError
from orders.local.own_ports import PORTS_TRIED_MAX, OwnPorts

FIRST = 19_400
HOST = "127.0.0.1"


@pytest.fixture
def ports(tmp_path: Path) -> Iterator[OwnPorts]:
    with OwnPorts(tmp_path) as own:
        yield own


def test_a_port_is_given_once_though_nobody_listens_on_it_yet(ports: OwnPorts, tmp_path: Path) -> None:
    with OwnPorts(tmp_path) as others:
        given = [ports.first_free(HOST, FIRST), others.first_free(HOST, FIRST), ports.first_free(HOST, FIRST)]
    assert len(set(given)) == 3
    assert given == sorted(given)


def test_what_a_command_has_chosen_is_free_again_when_it_ends(ports: OwnPorts, tmp_path: Path) -> None:
    with OwnPorts(tmp_path) as others:
        chosen = others.first_free(HOST, FIRST)
    assert ports.first_free(HOST, chosen) == chosen


def test_a_port_that_somebody_listens_on_is_passed_by(ports: OwnPorts) -> None:
    with socket.create_server((HOST, 0)) as listening:
        taken = listening.getsockname()[1]
        assert ports.first_free(HOST, taken) > taken


def test_where_none_is_free_that_is_said(ports: OwnPorts) -> None:
    last = FIRST + PORTS_TRIED_MAX - 1
    while ports.first_free(HOST, FIRST) < last:
        pass
    with pytest.raises(OrdersError, match="set API_PORT or the health ports"):
        ports.first_free(HOST, FIRST)
