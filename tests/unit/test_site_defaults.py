# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""site.yml includes its roles on all ML hosts: with nothing set, none of them refuses a host."""

from __future__ import annotations

import importlib

import pytest
import yaml
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.options import convert
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.platform import ROLES, platform
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.variables import specification

_ROOMS = "ansible_collections.mlops.hosts.plugins.plugin_utils._roles"
DEBIAN = {
    "architecture": "x86_64",
    "distribution": "Debian",
    "distribution_major_version": "13",
    "distribution_release": "trixie",
    "distribution_version": "13.1",
    "kernel": "6.12.0-amd64",
    "os_family": "Debian",
}


def _roles() -> list[str]:
    plays = yaml.safe_load((ROLES.parent / "playbooks/site.yml").read_text())
    (play,) = [play for play in plays if "ml_hosts" in play["hosts"]]
    return next(task["mlops.hosts.host_check"]["roles"] for task in play["tasks"] if "mlops.hosts.host_check" in task)


@pytest.mark.parametrize("role", _roles())
def test_a_host_for_which_nothing_is_set_is_not_refused(role):
    found = convert(specification(role), {})
    assert found.problems == ()
    options = {name.removeprefix(f"{role}_"): value for name, value in found.values.items()}
    room = importlib.import_module(f"{_ROOMS}.{role}.build")
    assert room.build(options, platform(role, DEBIAN)).problems == ()
