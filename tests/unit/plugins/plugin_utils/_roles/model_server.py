# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of the role ``model_server`` share: instances, and what is made of them."""

from __future__ import annotations

import os
import shlex
import subprocess

from ansible_collections.mlops.hosts.plugins.plugin_utils._roles import templates
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.model_server import build as room
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.model_server import validate
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.model_server.engines import ENGINES
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.model_server.engines.llama_cpp import LlamaCpp
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.model_server.instance import parse
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.platform import ROLES, Platform

ROLE = ROLES / "model_server"
KEY = "sk-secret"
GPU = "GPU-5f0e1c2a-0000-0000-0000-000000000001"
MODEL = "/srv/models/v1.gguf"
PACKAGES = [{"name": "llama.cpp-tools"}]
FORKY = Platform(
    distribution="Debian", distribution_release="forky", os_family="Debian", known={"packages": {"llama_cpp": PACKAGES}}
)
OPTIONS = {
    "state": "present",
    "instances": [],
    "scope": "",
    "artifacts": None,
    "store_dir": "/var/lib/mlops-models",
    "environments": None,
    "runtime_base": "/opt/mlops.hosts/environments",
    "user": "models",
    "user_groups": [],
    "packages": [],
    "container_engine": "auto",
    "verify": "changed",
}


def chat(**more):
    return {"name": "chat", "model": {"path": MODEL}, "port": 8001, **more}


def code(**more):
    return chat(**{"name": "code", "port": 8002, **more})


def built(*instances, on=FORKY, **more):
    return room.build({**OPTIONS, "instances": list(instances), **more}, on)


def made(*instances, **more):
    found = built(*instances, **more)
    assert found.problems == ()
    return found.component


def problems(instances):
    return validate.problems([parse(item) for item in instances])


def rendered(component):
    """The file of the only unit, as its template makes it."""
    (item,) = (item for item in component["files"] if item["path"].endswith((".container", ".service")))
    return templates.render("model_server", item["template"], item["template_vars"])


def unit_of(component):
    """The values of each setting of the only unit, in order."""
    found = {}
    for line in rendered(component).replace("\\\n", " ").splitlines():
        if line and not line.startswith(("#", "[")):
            found.setdefault(line.partition("=")[0], []).append(line.partition("=")[2])
    return found


def file(component, path):
    return next(item for item in component["files"] if item["path"].endswith(path))


def with_lifecycle(monkeypatch, lifecycle, **more):
    class Other(LlamaCpp):
        name = "other"

    Other.lifecycle = lifecycle
    monkeypatch.setitem(ENGINES, "other", Other())
    return unit_of(made(chat(engine="other", binary="/opt/serve", **more)))


# vLLM

WEIGHTS = "/srv/models/chat-v1"


def vllm(**more):
    return chat(**{"engine": "vllm", "binary": "/opt/vllm/bin/vllm", "model": {"path": WEIGHTS}, **more})


# The door


def run_by_systemd(words, key_file, **environment):
    """Run an ``ExecStart=`` as systemd does, which takes quotes and doubled signs away."""
    argv = [word.replace("$$", "$").replace("%%", "%") for word in shlex.split(words)]
    return subprocess.run(
        argv,
        env={"CREDENTIALS_DIRECTORY": str(key_file.parent), "PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def lines_of_environment(component):
    return file(component, "/env")["template_vars"]["__model_server_env"]
