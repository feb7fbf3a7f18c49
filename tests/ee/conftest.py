# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The execution environment, two hosts, and jobs that run in the one and change the other."""

from __future__ import annotations

import pytest
from awx_job import Fleet, build


@pytest.fixture(scope="session")
def image():
    return build()


@pytest.fixture(scope="session")
def fleet(image):
    """Two bare hosts in the group ml_hosts; the tests of a file go on from each other."""
    fleet = Fleet(image)
    fleet.up()
    yield fleet
    fleet.down()
