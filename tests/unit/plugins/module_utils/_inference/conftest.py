# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A model server for each test, and the two ways to ask it."""

from __future__ import annotations

import socket
import threading

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._http_module import ModuleFetch
from ansible_collections.mlops.hosts.plugins.module_utils._http_plain import PlainFetch

from .support import (
    FETCHES,
    Fake,
)


@pytest.fixture(autouse=True, params=[PlainFetch, ModuleFetch], ids=["plain", "module"])
def _both_ways(request, monkeypatch):
    monkeypatch.setitem(FETCHES, "used", request.param)


@pytest.fixture
def server():
    with Fake() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server
        server.released.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def closed_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]
