# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks that are full or read-only: nothing more is left behind, and nothing is recorded that is not so."""

from __future__ import annotations

import errno
import os

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._component import fs_entry
from ansible_collections.mlops.hosts.plugins.module_utils._component.fs_entry import Entry
from ansible_collections.mlops.hosts.plugins.module_utils._component.store import Store


def refuse(number):
    def call(*_args, **_more):
        raise OSError(number, os.strerror(number))

    return call


def test_a_full_disk_is_not_left_fuller(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", refuse(errno.ENOSPC))
    with pytest.raises(OSError, match="No space left on device") as caught:
        fs_entry.stage(str(tmp_path / "a"), Entry("file", os.getuid(), os.getgid(), 0o600, b"x"))
    assert caught.value.filename == str(tmp_path / "a")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(("call", "remove"), [("unlink", fs_entry.discard), ("rmdir", fs_entry.remove_if_empty)])
def test_what_is_not_there_need_not_be_removed_from_a_read_only_disk(tmp_path, monkeypatch, call, remove):
    monkeypatch.setattr(os, call, refuse(errno.EROFS))
    remove(str(tmp_path / "nothing"))
    with pytest.raises(OSError, match="Read-only file system"):
        remove(str(tmp_path))


def test_what_a_killed_run_had_not_put_in_place_is_swept_away(tmp_path):
    store = Store(str(tmp_path))
    store.prepare()
    kept = store.keep(b"kept")
    for name in ("journal.json", "ledger/demo.json", "blobs/abc"):
        (tmp_path / os.path.dirname(name) / f".{os.path.basename(name)}.mlops-new").touch()
    store.sweep()
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()) == [
        f"blobs/{kept}"
    ]
