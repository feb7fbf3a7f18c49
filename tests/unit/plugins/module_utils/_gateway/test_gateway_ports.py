# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""On sockets of this machine."""

from __future__ import annotations

import os
import socket

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._gateway import ports
from ansible_collections.mlops.hosts.plugins.module_utils._gateway.config import Bind


@pytest.fixture
def taken():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def problems(bind, ours=()):
    return ports.problems([bind], ports.listening("/"), ports.inodes("/", ours))


def test_what_another_process_has_is_in_use_by_it(taken):
    (problem,) = problems(Bind("127.0.0.1", taken, "x.cfg, line 3"))
    assert problem.startswith(f"127.0.0.1:{taken} (x.cfg, line 3) is in use by ")
    assert f"process {os.getpid()}: free it" in problem


def test_what_is_ours_can_be_handed_over(taken):
    assert problems(Bind("127.0.0.1", taken, "x"), ours=[os.getpid()]) == []


@pytest.mark.parametrize("address", ["", "0.0.0.0", "localhost"])
def test_every_address_is_that_one_too(taken, address):
    assert len(problems(Bind(address, taken, "x"))) == 1


def test_another_address_is_not(taken):
    assert problems(Bind("127.0.0.2", taken, "x")) == []


def test_a_free_port_is_free_afterwards():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert problems(Bind("127.0.0.1", port, "x")) == []
    socket.create_server(("127.0.0.1", port)).close()


def test_an_address_that_the_host_does_not_have():
    (problem,) = problems(Bind("192.0.2.1", 8443, "x"))
    assert problem == "192.0.2.1:8443 (x) is no address of this host: bind one that it has"


def test_a_name_that_does_not_resolve():
    (problem,) = problems(Bind("no-such-host.invalid", 8443, "x"))
    assert problem.startswith("no-such-host.invalid:8443 (x) has a name that does not resolve")


def test_a_process_that_is_gone_has_no_sockets():
    assert ports.inodes("/", [2**22 + 1]) == set()
