# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One virtual host for all tests; each begins with it as it was kept."""

from __future__ import annotations

import pytest
from machine import BY_ROLE, FRESH, INSTALLED, Machine


@pytest.fixture(scope="session")
def _machine():
    machine = Machine("tests")
    machine.up()
    yield machine
    machine.guest.down()


@pytest.fixture(scope="session")
def _installed(_machine):
    _machine.back(FRESH)
    _machine.install("580.95.05")
    _machine.guest.keep(INSTALLED)


@pytest.fixture
def fresh(_machine):
    """It has booted, has a GPU that nouveau found, and no driver."""
    _machine.back(FRESH)
    return _machine


@pytest.fixture
def installed(_machine, _installed):
    """The driver 580.95.05 is installed, from a repository that has others too, and not loaded; nouveau is."""
    _machine.back(INSTALLED)
    return _machine


@pytest.fixture(scope="session")
def _by_role(_machine):
    _machine.back(FRESH)
    _machine.role().succeeded()
    _machine.guest.keep(BY_ROLE)


@pytest.fixture
def by_role(_machine, _by_role):
    """The role has installed the driver 580.95.05, and was not allowed to reboot; nouveau is loaded."""
    _machine.back(BY_ROLE)
    return _machine
