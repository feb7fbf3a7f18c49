# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""main() with the real AnsibleModule, a plan, and fake programs on PATH that print what is given."""

from __future__ import annotations

import json

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.mlops.hosts.plugins.module_utils._log_shipper import paths
from ansible_collections.mlops.hosts.plugins.modules import log_shipper_info
from ansible_collections.mlops.hosts.tests.unit.shipper_options import planned, route, sink, source

SUSPENDED = "500.0 sender rsyslogd[7]: action 'mlops_sink_central' suspended (module 'omrelp'), retry 0."
LINES = [
    {"__CURSOR": f"s={'a' * 32};i=1;b={'b' * 32};m=1;t={second * 10**6:x};x=1", "_SYSTEMD_UNIT": "mlops-a.service"}
    for second in (501, 502)
]
OURS = {"sources": [source()], "sinks": [sink()], "routes": [route()]}


@pytest.fixture
def run_module(tmp_path, monkeypatch, capsys):
    def program(name, script):
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def run(**options):
        with patch_module_args({"_ansible_check_mode": True, **options}), pytest.raises(SystemExit):
            log_shipper_info.main()
        return json.loads(capsys.readouterr().out)

    (tmp_path / "said").write_text(f"{SUSPENDED}\n")
    (tmp_path / "lines").write_text("".join(f"{json.dumps(one)}\n" for one in LINES))
    program("systemctl", "echo ActiveState=active")
    program("journalctl", f'case "$*" in *json*) cat {tmp_path}/lines;; *) cat {tmp_path}/said;; esac')
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    monkeypatch.setattr(paths, "SPOOL", str(tmp_path))
    monkeypatch.setattr(paths, "PLAN", str(tmp_path / "plan.json"))
    (tmp_path / "running").touch()
    run.plan = tmp_path / "plan.json"
    return run


def test_a_host_without_a_shipper_has_no_lines_that_wait(run_module):
    told = run_module()
    assert (told["changed"], told["provider"], told["sinks"]) == (False, None, [])


def test_lines_that_wait_are_told_unless_the_change_keeps_them(run_module):
    run_module.plan.write_text(json.dumps(planned(**OURS)))
    told = run_module()
    assert (told["provider"], told["sinks"]) == (
        "rsyslog",
        [{"name": "central", "lines": 2, "since": "1970-01-01T00:08:20Z"}],
    )
    assert run_module(desired=planned(**OURS))["sinks"] == []
    assert run_module(desired={**planned(**OURS), "provider": "vector"})["sinks"] == told["sinks"]


def test_a_plan_that_cannot_be_read_is_an_error(run_module):
    run_module.plan.write_text("no plan")
    told = run_module()
    assert told["failed"] and "run the role again" in told["msg"]
