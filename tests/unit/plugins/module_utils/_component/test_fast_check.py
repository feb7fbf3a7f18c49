# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fast check says the same as the engine about a host that is right, and nothing about any other."""

from __future__ import annotations

import os
import pathlib

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._component.fast_check import fast_check_at
from ansible_collections.mlops.hosts.tests.unit.plugins.module_utils._component.support import (
    GONE,
    Host,
    component,
)


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


def desired(host, content=b"right\n"):
    return component(directories=(host.directory("etc"),), files=(host.file("etc/conf", content, mode=0o640),))


def fast_check(host, asked, *, check_mode=False):
    return fast_check_at(asked, host.store, host.run, check_mode=check_mode)


def test_a_host_that_is_right_is_told_as_the_engine_tells_it(host):
    host.ensure(desired(host))
    assert fast_check(host, desired(host)) == host.ensure(desired(host))
    assert fast_check(host, desired(host), check_mode=True) == host.ensure(desired(host), check=True)


def test_a_host_that_differs_is_left_to_the_module(host):
    assert fast_check(host, desired(host)) is None
    host.ensure(desired(host))
    before = host.snapshot()
    assert fast_check(host, desired(host, b"other\n"), check_mode=True) is None
    assert fast_check(host, GONE) is None
    os.chmod(host.root / "etc/conf", 0o600)
    assert fast_check(host, desired(host)) is None
    os.chmod(host.root / "etc/conf", 0o640)
    assert host.snapshot() == before


def test_what_is_right_and_not_yet_owned_is_left_to_the_module(host):
    (host.root / "etc").mkdir(mode=0o755)
    (host.root / "etc/conf").write_bytes(b"right\n")
    os.chmod(host.root / "etc/conf", 0o640)
    assert fast_check(host, desired(host)) is None
    assert fast_check(host, desired(host), check_mode=True) == host.ensure(desired(host), check=True)
    assert not os.path.exists(host.store.directory)


@pytest.mark.parametrize("number", [0, 1])
def test_a_change_that_has_not_ended_is_left_to_the_module(host, number):
    host.ensure(desired(host))
    pathlib.Path(host.store.journal_paths[number]).write_text("{")
    assert fast_check(host, desired(host)) is None


def test_what_a_killed_run_has_left_is_cleared_away_by_the_module(host):
    host.ensure(desired(host))
    left = pathlib.Path(host.store.directory, ".journal.json.mlops-new")
    left.touch()
    assert fast_check(host, desired(host)) is None
    assert not host.ensure(desired(host))["changed"]
    assert not left.exists()
    assert fast_check(host, desired(host)) is not None
