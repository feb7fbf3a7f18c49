# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._gateway import config

TEXT = r"""
global
    stats socket /run/x/api.sock mode 660   # bind 1.2.3.4:1
    server-state-file /var/lib/x/servers.state
frontend clients
    bind *:443 ssl crt /etc/gw/tls.pem crt /etc/gw/more alpn h2
    bind 127.0.0.1:80,[::1]:81 name "two words"
    bind ipv6@:82-83
    bind unix@/run/x/in.sock
    http-request deny unless { http_auth_bearer,map(/etc/gw/keys.map) -m found }
backend model.chat
    server one:chat 10.0.0.1:8001 check
    server two:chat host-two:8002
    server six:chat [fd00::6]:8003 weight 5
"""


def test_what_a_frontend_binds():
    found = config.parse({"a.cfg": TEXT})
    assert [bind.text for bind in found.binds] == ["*:443", "127.0.0.1:80", "[::1]:81", "[::]:82", "[::]:83"]
    assert found.binds[0].where == "a.cfg, line 6"
    assert found.unknown == ()


def test_servers_and_the_files_that_are_named():
    found = config.parse({"a.cfg": TEXT})
    assert found.servers == {
        ("model.chat", "one:chat"): ("10.0.0.1", "8001"),
        ("model.chat", "two:chat"): ("host-two", "8002"),
        ("model.chat", "six:chat"): ("fd00::6", "8003"),
    }
    assert found.certificates == ("/etc/gw/tls.pem", "/etc/gw/more")
    assert {"/etc/gw/keys.map", "/etc/gw/tls.pem", "/var/lib/x/servers.state"} <= set(found.paths)


def test_sections_do_not_go_on_in_the_next_file():
    found = config.parse({"a.cfg": "backend x\n", "b.cfg": "    server s 10.0.0.1:1\n"})
    assert found.servers == {}


@pytest.mark.parametrize("bind", ["${ADDRESS}", "10.0.0.1", "quic4@:443"])
def test_a_bind_that_is_not_understood_is_told(bind):
    found = config.parse({"a.cfg": f"frontend x\n    bind {bind}\n"})
    assert found.binds == ()
    assert found.unknown == (f"{bind} (a.cfg, line 2) cannot be checked before: write an address and a port",)
