# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.plugins.module_utils._python_environment.markers import VARIABLES, applies, check
from packaging.markers import Marker

HOST = {
    **dict.fromkeys(VARIABLES, ""),
    "implementation_name": "cpython",
    "platform_machine": "x86_64",
    "python_full_version": "3.11.2",
    "python_version": "3.11",
    "sys_platform": "linux",
}


@pytest.mark.parametrize(
    ("marker", "expected"),
    [
        ("python_version >= '3.9'", True),
        ("python_version < '3.9'", False),
        ('"3.9" <= python_version', True),
        ("python_version == '3.11.*'", True),
        ("python_version != '3.1.*'", True),
        ("python_full_version == '3.11.*'", True),
        ("python_full_version == '3.1.*'", False),
        ("python_full_version > '3.11'", True),
        ("python_version ~= '3.9'", True),
        ("python_version ~= '3.12'", False),
        ("python_full_version ~= '3.11.0'", True),
        ("python_full_version ~= '3.10.0'", False),
        ("sys_platform == 'linux' and platform_machine == 'aarch64'", False),
        ("sys_platform == 'win32' or sys_platform == 'linux'", True),
        ("sys_platform == 'win32' and sys_platform == 'x' or python_version > '3'", True),
        ("sys_platform == 'win32' and (sys_platform == 'x' or python_version > '3')", False),
        ("'lin' in sys_platform", True),
        ("platform_machine not  in 'aarch64 arm64'", True),
        ("extra == 'dev'", False),
    ],
)
def test_markers(marker, expected):
    assert applies(marker, HOST) is expected
    assert Marker(marker).evaluate(HOST) is expected, "pip takes it otherwise"
    check(marker)


@pytest.mark.parametrize(
    "marker",
    [
        "",
        "python_version",
        "python_version > 3.9",
        "os.name == 'posix'",
        "(python_version > '3'",
        "python_version > '3' extra",
        "python_version > '3' and",
        "sys_platform ~= 'linux'",
        "python_version not '3'",
        "python_version > 'three'",
        "nonesuch == '1'",
        "implementation_name === 'cpython'",
    ],
)
def test_what_is_no_marker_is_refused(marker):
    with pytest.raises(HostError, match="cannot be read"):
        check(marker)
