# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import errno
import os

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils import _text_file


def no_space(_source, _target):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_leaves_the_text_before_and_nothing_else(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "replace", no_space)
    path = tmp_path / "metrics.prom"
    path.write_text("before\n")
    with pytest.raises(OSError, match="No space left"):
        _text_file.write(str(path), "after\n")
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [("metrics.prom", "before\n")]


def test_who_may_read_it_is_who_is_named(tmp_path):
    _text_file.write(str(tmp_path / "secret"), "x", mode=0o600, durable=True)
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
