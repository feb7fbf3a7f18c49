# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In which order the roles of a site run on a host, by their states and the tags of the run."""

from __future__ import annotations

import pytest
from ansible_collections.mlops.hosts.plugins.lookup.site_roles import ordered

PRESENT = dict.fromkeys(["gpu_driver", "model_store", "model_server"], "present")
ABSENT = dict.fromkeys(PRESENT, "absent")


@pytest.mark.parametrize(
    ("states", "run", "skip", "roles"),
    [
        pytest.param(PRESENT, ["all"], [], ["gpu_driver", "model_store", "model_server"], id="present"),
        pytest.param(ABSENT, ["all"], [], ["model_server", "model_store", "gpu_driver"], id="absent-in-reverse"),
        pytest.param(
            {**PRESENT, "model_server": "absent"},
            ["all"],
            [],
            ["model_server", "gpu_driver", "model_store"],
            id="absent-first",
        ),
        pytest.param(PRESENT, ["model_store"], [], ["model_store"], id="one-tag"),
        pytest.param(ABSENT, ["model_store", "model_server"], [], ["model_server", "model_store"], id="two-tags"),
        pytest.param(PRESENT, ["tagged"], [], list(PRESENT), id="all-that-have-tags"),
        pytest.param(PRESENT, ["all"], ["model_store"], ["gpu_driver", "model_server"], id="skipped"),
        pytest.param(PRESENT, ["model_store"], ["model_store"], [], id="chosen-and-skipped"),
        pytest.param(PRESENT, ["another"], [], [], id="a-tag-of-others"),
    ],
)
def test_order(states, run, skip, roles):
    assert ordered(states, run, skip) == roles
