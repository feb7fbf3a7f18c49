# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""main() with the real AnsibleModule, and servers on loopback that give recorded answers."""

from __future__ import annotations

import http.server
import json
import pathlib
import threading

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.mlops.hosts.plugins.module_utils._monitoring import fast_check, info
from ansible_collections.mlops.hosts.plugins.module_utils._monitoring.plan import Alertmanager, Plan
from ansible_collections.mlops.hosts.plugins.modules import monitoring_info

DATA = pathlib.Path(__file__).parents[2] / "data/alertmanager/0.28.1"


@pytest.fixture
def alertmanager():
    """Its address; it has refused its files."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write((DATA / "metrics_refused.txt").read_bytes())

        def log_message(self, *_words):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Writes a plan where the module reads it."""
    path = tmp_path / "plan.json"
    monkeypatch.setattr(info.paths, "PLAN", str(path))
    monkeypatch.setattr(info.collect, "__defaults__", (str(path),))
    return path.write_text


def returned(capsys):
    with patch_module_args({}), pytest.raises(SystemExit):
        monitoring_info.main()
    return json.loads(capsys.readouterr().out)


def test_what_does_not_run_is_told_and_the_fast_check_tells_the_same(written, alertmanager, capsys):
    written(Plan(alertmanager=Alertmanager(alertmanager, "/etc/hostname")).text())
    found = returned(capsys)
    assert (found["parts"], found["stale"], found["notes"]) == (["alertmanager"], ["mlops-alertmanager.service"], [])
    assert found["problems"][0].startswith("alertmanager has refused the files on disk")
    quick = fast_check.fast_check({}, run=pytest.fail, check_mode=True)
    assert quick == {name: value for name, value in found.items() if name != "invocation"}


def test_a_plan_that_is_none_fails(written, capsys):
    written("{")
    found = returned(capsys)
    assert found["failed"] and "must be as the role monitoring writes it" in found["msg"]
    assert fast_check.fast_check({}, run=pytest.fail, check_mode=True)["failed"]
