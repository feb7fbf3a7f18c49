# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which directory keeps a user from files below it."""

from __future__ import annotations

import os
import pwd

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._monitoring import readable


@pytest.fixture
def folder(tmp_path):
    """A directory in another. Those above them count as open."""
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    for path in (inner, inner.parent):
        path.chmod(0o755)
    return inner


def obstacle(folder, user):
    def stat(path):
        found = os.stat(path)
        return found if path in (folder, folder.parent, folder / "c") else os.stat_result((0o40755, *found[1:]))

    return readable.obstacle(str(folder), user, stat)


def someone_else():
    return next(entry.pw_name for entry in pwd.getpwall() if entry.pw_uid not in (0, os.getuid()))


def test_an_open_one_keeps_nobody_out(folder):
    assert obstacle(folder, someone_else()) is None


def test_one_above_it_may_do(folder):
    folder.parent.chmod(0o700)
    assert obstacle(folder, someone_else()) == str(folder.parent)
    assert obstacle(folder, "no-such-user") == str(folder.parent)


def test_to_enter_one_is_not_to_list_it(folder):
    folder.parent.chmod(0o711)
    assert obstacle(folder, someone_else()) is None
    folder.chmod(0o711)
    assert obstacle(folder, someone_else()) == str(folder)


def test_its_owner_has_its_own_rights(folder):
    folder.chmod(0o500)
    assert obstacle(folder, pwd.getpwuid(os.getuid()).pw_name) is None
    folder.chmod(0o077)
    assert obstacle(folder, pwd.getpwuid(os.getuid()).pw_name) == str(folder)


def test_one_that_is_not_there_keeps_all_out(folder):
    assert obstacle(folder / "c", someone_else()) == f"{folder}/c"
