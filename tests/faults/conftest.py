# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts for the workers, and the report of a whole run."""

from __future__ import annotations

import pytest
import reliability
from host import FaultHost, make_repository

from tools.hosts.docker_engine import only_one


@pytest.fixture(scope="session")
def _own_host(worker_id):
    with only_one("faults-repository"):
        make_repository()
    host = FaultHost(worker_id)
    yield host
    host.down()
    host.ansible.close()


@pytest.fixture
def host(_own_host, request):
    """A host in a known state. One that a failed test left is thrown away."""
    if not getattr(_own_host, "whole", False):
        _own_host.up()
    _own_host.whole = False
    yield _own_host
    _own_host.whole = request.node.passed


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == "call":
        item.passed = report.passed
    return report


@pytest.fixture
def note(record_property, request):
    """Write a row of the report: what was done, where, and what came of it."""

    def write(table: str, row: str, column: str, outcome: str) -> None:
        order = request.session.items.index(request.node)
        record_property("reliability", [order, table, row, column, outcome])

    return write


def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(reliability.Report(config))
