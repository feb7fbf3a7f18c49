# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import errno
import os

import pytest
from ansible_collections.mlops.hosts.plugins.plugin_utils._audit import output


def no_space(_source, _target):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_leaves_the_metrics_before_and_nothing_else(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "replace", no_space)
    path = tmp_path / "audit.prom"
    path.write_text("before\n")
    with pytest.raises(output.OutputError, match=r"audit.prom cannot be written: No space left on device"):
        output._replace(str(path), "after\n")
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [("audit.prom", "before\n")]
