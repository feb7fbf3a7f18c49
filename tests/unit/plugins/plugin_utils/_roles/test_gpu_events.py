# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role builds one service, whose confinement and files are as they should be."""

from __future__ import annotations

import pytest
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.built import Built
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.gpu_events.build import build
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.platform import Platform

OPTIONS = {
    "state": "present",
    "textfile_dir": "/var/lib/node_exporter/textfile_collector",
    "storm_window_s": 60.0,
    "python": "/usr/bin/python3",
}


def built(**more):
    return build({**OPTIONS, **more}, Platform())


def test_by_default_nothing_is_done():
    assert built(state="unmanaged") == Built()


def test_what_is_installed():
    component = built().component
    assert component["users"] == [{"name": "mlops-gpu-events", "groups": ["systemd-journal"]}]
    assert component["links"] == [
        {
            "path": "/var/lib/node_exporter/textfile_collector/mlops_gpu_events.prom",
            "target": "/var/lib/mlops-gpu-events/gpu_events.prom",
            "on_change": "none",
        }
    ]
    # New code runs once it is there.
    assert {file.get("on_change", "restart") for file in component["files"]} == {"restart"}
    assert [(one["kind"], one["path"]) for one in component["requires"]] == [("textfile", OPTIONS["textfile_dir"])]


def test_without_a_directory_there_is_no_link():
    component = built(textfile_dir="").component
    assert (component["links"], component["requires"]) == ([], [])


def test_what_goes():
    found = built(state="absent")
    assert found.component == {"name": "gpu_events", "state": "absent"}
    assert found.rest(False, False) == {"leftovers": ["/var/lib/mlops-gpu-events"]}


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"textfile_dir": "metrics"}, "gpu_events_textfile_dir must be an absolute path"),
        ({"textfile_dir": "/metrics/"}, "without a slash at its end, not '/metrics/'"),
        ({"storm_window_s": 1.0}, "gpu_events_storm_window_s must be from 2 to 3600, not 1.0."),
        ({"storm_window_s": float("nan")}, "must be from 2 to 3600, not nan."),
    ],
)
def test_what_is_refused(more, says):
    (problem,) = built(**more).problems
    assert says in problem
