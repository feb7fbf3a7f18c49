# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.plugins.module_utils._model import host
from ansible_collections.mlops.hosts.plugins.module_utils._model.store import Ownership

MOUNTINFO = r"""22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 254:16 / /data rw,relatime shared:2 - xfs /dev/vdb rw
31 22 254:32 /sub /mnt/with\040blank rw - ext4 /dev/vdc rw
"""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("/data", "/data", id="the-mount-itself"),
        pytest.param("/data/models/not/yet/there", "/data", id="below-a-mount"),
        pytest.param("/database", "/", id="a-name-that-begins-alike"),
        pytest.param("/mnt/with blank/x", "/mnt/with blank", id="a-bind-mount-with-a-blank"),
        pytest.param("/srv/models", "/", id="the-root"),
    ],
)
def test_mount_point(tmp_path, path, expected):
    table = tmp_path / "mountinfo"
    table.write_text(MOUNTINFO)
    assert host.mount_point(path, str(table)) == expected


def test_free_bytes_of_a_path_that_is_not_there_yet(tmp_path):
    assert host.free_bytes(str(tmp_path / "a" / "b")) > 0


@pytest.mark.parametrize(("mode", "folder"), [("0644", 0o755), ("0440", 0o750), ("640", 0o750), ("0600", 0o700)])
def test_folders_can_be_searched_by_those_who_read(mode, folder):
    assert host.ownership(None, None, mode, dry_run=False).mode_of(folder=True) == folder


def test_owner_by_name_and_number():
    assert host.ownership("root", "12345", "0644", dry_run=False) == Ownership(0, 12345, 0o644)
    with pytest.raises(HostError, match="the group nobody-of-this-name, who is not on this host"):
        host.ownership("root", "nobody-of-this-name", "0644", dry_run=False)
    assert host.ownership("nobody-of-this-name", None, "0644", dry_run=True).uid == -1
