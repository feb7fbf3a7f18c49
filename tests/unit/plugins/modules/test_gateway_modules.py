# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import functools
import json

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.mlops.hosts.plugins.modules import gateway_info, gateway_server
from ansible_collections.mlops.hosts.tests.unit.plugins.module_utils._gateway.conftest import host

__all__ = ["host"]


@pytest.fixture
def run_module(host, monkeypatch, capsys):
    """Runs main() with the real AnsibleModule, on a gateway below a folder, whose HAProxy is simulated."""
    found = host()

    def run(module, *, check_mode=False, **options):
        monkeypatch.setattr(module, "Gateway", functools.partial(module.Gateway, root=str(found.root)))
        with patch_module_args({"_ansible_check_mode": check_mode, **options}), pytest.raises(SystemExit):
            module.main()
        return json.loads(capsys.readouterr().out)

    run.haproxy = found.haproxy
    return run


def test_gateway_info(run_module):
    told = run_module(gateway_info)
    assert (told["changed"], told["running"], told["matches_disk"]) == (False, True, False)
    assert told["reasons"] == ["what runs was not recorded: reload mlops-gateway.service"]
    assert [one["server"] for one in told["servers"]] == ["one:chat", "two:chat", "two:embed"]


def test_gateway_server(run_module):
    planned = run_module(gateway_server, check_mode=True, server="two:chat", state="drain")
    assert (planned["changed"], run_module.haproxy.server("two:chat").admin) == (True, 0)
    done = run_module(gateway_server, server="two:chat", state="drain", timeout_s=1)
    assert (done["changed"], done["open"], run_module.haproxy.server("two:chat").admin) == (True, 0, 8)
    refused = run_module(gateway_server, host="two", state="drain")
    assert (refused["failed"], refused["models"]) == (True, ["embed"])
    assert "one of the following is required: host, server, backend" in run_module(gateway_server, state="drain")["msg"]
