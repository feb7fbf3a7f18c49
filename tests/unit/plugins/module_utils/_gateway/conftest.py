# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pathlib
import shutil
import tempfile

import pytest
from ansible_collections.mlops.hosts.tests.unit.plugins.module_utils._gateway.support import Host


@pytest.fixture
def host():
    """In a folder whose name is short: that of a socket may have 107 characters."""
    made = []

    def make(version: str = "3.0") -> Host:
        root = pathlib.Path(tempfile.mkdtemp(prefix="gw"))
        found = Host(root, version)
        found.haproxy.__enter__()
        made.append(found)
        return found

    yield make
    for one in made:
        one.haproxy.__exit__()
        shutil.rmtree(one.root)
