# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses
import os
import threading

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.plugins.module_utils._run_lock import Holder, Locked, lock, unlock

ONE = Holder("model_rollout", "deploy1", "boot", 41, "100", "2026-11-30T10:00:00Z")
OTHER = dataclasses.replace(ONE, pid=42, process_start="200")


def test_one_run_has_the_host_until_it_unlocks_it(tmp_path):
    folder = str(tmp_path / "state")
    assert lock(ONE, folder=folder) == Locked(True, ONE)
    assert lock(OTHER, folder=folder) == Locked(False, ONE)
    assert unlock(OTHER, folder=folder) == Locked(False, ONE)
    assert unlock(ONE, folder=folder) == Locked(True, None)
    assert unlock(ONE, folder=folder) == Locked(False, None)
    assert lock(OTHER, folder=folder) == Locked(True, OTHER)
    assert [
        oct(path.stat().st_mode & 0o777) for path in (tmp_path / "state", next((tmp_path / "state").iterdir()))
    ] == [
        "0o700",
        "0o600",
    ]


def test_a_later_task_of_the_same_run_has_it_already(tmp_path):
    lock(ONE, folder=str(tmp_path))
    later = dataclasses.replace(ONE, purpose="model_rollback", since="2026-11-30T11:00:00Z")
    assert lock(later, folder=str(tmp_path)) == Locked(False, ONE)


@pytest.mark.parametrize("differs", [{"process_start": "200"}, {"kernel": "other"}, {"controller": "deploy2"}])
def test_another_process_of_the_same_id_is_another_run(tmp_path, differs):
    lock(ONE, folder=str(tmp_path))
    assert not lock(dataclasses.replace(ONE, **differs), folder=str(tmp_path)).changed


def test_a_run_that_has_ended_is_replaced_by_one_other_only(tmp_path):
    folder, third = str(tmp_path), dataclasses.replace(ONE, pid=43)
    lock(ONE, folder=folder)
    assert lock(OTHER, instead_of=ONE, folder=folder) == Locked(True, OTHER)
    assert lock(third, instead_of=ONE, folder=folder) == Locked(False, OTHER)


def test_of_many_at_once_one_gets_it(tmp_path):
    runs = [dataclasses.replace(ONE, pid=pid) for pid in range(20)]
    found = []
    threads = [threading.Thread(target=lambda run=run: found.append(lock(run, folder=str(tmp_path)))) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.changed for one in found].count(True) == 1
    assert len({one.holder for one in found}) == 1


def test_a_dry_run_writes_nothing(tmp_path):
    folder = tmp_path / "state"
    assert lock(ONE, folder=str(folder), dry_run=True) == Locked(True, ONE)
    assert unlock(ONE, folder=str(folder)) == Locked(False, None)
    assert not folder.exists()
    lock(ONE, folder=str(folder))
    assert unlock(ONE, folder=str(folder), dry_run=True).changed
    assert lock(OTHER, folder=str(folder), dry_run=True) == Locked(False, ONE)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"pid": "x"}'])
def test_a_damaged_file_is_told(tmp_path, text):
    (tmp_path / "run_lock.json").write_text(text)
    with pytest.raises(HostError, match=r"run_lock\.json does not say which run has locked this host; remove it when"):
        lock(ONE, folder=str(tmp_path))
    assert os.listdir(tmp_path) == ["run_lock.json"]
