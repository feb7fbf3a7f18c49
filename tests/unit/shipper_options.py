# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the role ``log_shipper`` in few words, and what is built of them."""

from __future__ import annotations

import json
import pathlib

from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.log_shipper import build as builder
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.log_shipper.build import build
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.log_shipper.shippers.rsyslog import Rsyslog
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.platform import platform
from ansible_collections.mlops.hosts.tests.unit.fakes import requirements_of

ROLE = pathlib.Path(__file__).parents[2] / "roles/log_shipper"


DEBIAN = platform("log_shipper", {"distribution": "Debian", "distribution_release": "bookworm", "os_family": "Debian"})


RIVALS = [rival["path"] for rival in DEBIAN.known["shippers"]["rsyslog"]["rivals"]]


PYTHON = "/usr/bin/python3"


KEY = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"


CA, CERT, PRIVATE_KEY = "/etc/ssl/logs/ca.pem", "/etc/ssl/logs/host.pem", "/etc/ssl/logs/host.key"


TEXTS = {"ca": None, "ca_content": "CA", "cert": None, "cert_content": "CERT", "private_key": None}


ON_HOST = {"ca": CA, "cert": CERT, "private_key": PRIVATE_KEY}


def source(name="models", **more):
    return {"name": name, "type": "journald", "units": ["mlops-*"], **more}


def sink(name="central", **more):
    return {"name": name, "type": "relp_tls", "host": "loghost", "ca": CA, **more}


def route(name="all", sources=("models",), sinks=("central",), **more):
    return {"name": name, "from": list(sources), "to": list(sinks), **more}


def receiver(name="central", **more):
    return {"name": name, "type": "relp_tls", **ON_HOST, "permitted_peers": ["sender"], **more}


def built(host=DEBIAN, **options):
    return build({"state": "present", "provider": "rsyslog", "python": "/usr/bin/python3", **options}, host)


def made(**lists):
    found = built(**lists)
    assert found.problems == ()
    return found.component


def file(component, path):
    return next(item for item in component["files"] if item["path"] == path)


def shown(what, **lists):
    return file(made(**lists), Rsyslog.config)["template_vars"][f"__log_shipper_{what}"]


def required(component):
    """What conditions are about, by their kind."""
    found = {}
    for item in requirements_of(component):
        found.setdefault(item.kind, []).append(item.port or item.path)
    return found


def planned(**lists):
    return json.loads(file(made(**lists), builder.PLAN)["content"])
