# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Caches that systemd makes for units, which go with them."""

from __future__ import annotations

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._component import units
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.plugins.module_utils._runner import Completed

# systemd 252 and 262, of a unit that failed and was not reset, and of one without a cache.
STILL_FAILED = "Failed to clean unit x.service: Unit is not inactive or has pending job.\n"
SHOWN = "LoadState=loaded\nActiveState=inactive\nSubState=dead\nCacheDirectory={}\n"


class Systemd:
    def __init__(self, status=0, words=""):
        self.asked, self.answer = [], (status, words)

    def __call__(self, *argv, **_more):
        self.asked.append(argv)
        status, words = self.answer if argv[1] == "clean" else (0, "")
        return Completed(argv, status, "", words)


def test_a_unit_that_failed_is_reset_first():
    systemd = Systemd()
    units.remove_caches(["x.service"], systemd)
    assert [argv[1:] for argv in systemd.asked] == [
        ("reset-failed", "--", "x.service"),
        ("clean", "--what=cache", "--", "x.service"),
    ]


def test_without_a_unit_nobody_is_asked():
    systemd = Systemd()
    units.remove_caches([], systemd)
    assert systemd.asked == []


def test_what_systemd_says_is_told():
    with pytest.raises(HostError, match="could not remove the cache of x.service.*Unit is not inactive"):
        units.remove_caches(["x.service"], Systemd(1, STILL_FAILED))


@pytest.mark.parametrize(("value", "has_cache"), [("xx", True), ("", False)])
def test_a_unit_says_whether_it_has_a_cache(value, has_cache):
    shown = units.observe(["x.service"], lambda *argv, **_more: Completed(argv, 0, SHOWN.format(value), ""))
    assert shown["x.service"].has_cache is has_cache


@pytest.mark.parametrize(
    ("path", "unit"),
    [
        ("/etc/systemd/system/x.service", "x.service"),
        ("/etc/systemd/system/multi-user.target.wants/x.service", None),
        ("/etc/systemd/system/x.service.d/own.conf", None),
        ("/etc/containers/systemd/x.container", "x.service"),
        ("/etc/containers/systemd/x.volume", None),
        ("/etc/x.service", None),
    ],
)
def test_a_unit_is_defined_by_its_own_file_alone(path, unit):
    assert units.defines(path) == unit
