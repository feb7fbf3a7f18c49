# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._log_shipper import engines, plan
from ansible_collections.mlops.hosts.plugins.module_utils._runner import Completed

from tests.unit.fakes import DATA, Told

INSPECT = ("inspect", "--format", "{{.Name}} {{.HostConfig.LogConfig.Type}}")
DEFAULT = {"docker": "{{.LoggingDriver}}", "podman": "{{.Host.LogDriver}}"}


def planned(*names):
    """A plan whose sources have these regular expressions for names of containers, "" for other sources."""
    flow = {"transport": "", "unit": "", "severity": 7, "events": False, "ways": []}
    sink = {"name": "here", "memory": 1, "flows": [{**flow, "container": name} for name in names]}
    given = {"unit": "u", "receipts": "/r", "complaints": "", "state": "", "modules": {}, "sinks": [sink]}
    lists = dict.fromkeys(("lines", "arrivals", "certificates", "peers", "files"), ())
    return plan.read(json.dumps({**given, **lists}), "plan.json")


def recorded(name):
    return (DATA / name).read_text()


def host(docker_runs=True, ids=None, **drivers):
    """Engines that run what was recorded; ``ids`` in place of it, and ``drivers`` that are their defaults."""
    answers = {("systemctl", "is-active", "docker.service"): Completed((), 0 if docker_runs else 3, "", "")}
    for engine, folder in (("docker", "docker/26.1.5"), ("podman", "podman/5.4.2")):
        running = recorded(f"{folder}/ps-log-drivers.txt") if ids is None else ids
        answers[engine, "ps", "--quiet", "--no-trunc"] = running
        answers[(engine, *INSPECT, *running.split())] = recorded(f"{folder}/inspect-log-drivers.txt")
        answers[engine, "info", "--format", DEFAULT[engine]] = f"{drivers.get(engine, 'journald')}\n"
    return Told(answers)


def test_containers_that_write_to_files_are_named(tmp_path):
    found = engines.notices(planned("", "chat-.*"), host(), tmp_path)
    assert [sentence.partition(", and what")[0] for sentence in found] == [
        "chat-k of docker log with json-file",
        "chat-p of podman log with k8s-file",
    ]


@pytest.mark.parametrize("name", ["chat-q", "chat-n"], ids=["in-the-journal", "by-whoever-started-it"])
def test_containers_whose_lines_somebody_has_are_not(tmp_path, name):
    assert engines.notices(planned(name), host(docker="json-file"), tmp_path) == []


def test_where_none_runs_yet_the_default_is_named(tmp_path):
    (said,) = engines.notices(planned("other"), host(docker="json-file"), tmp_path)
    assert said.startswith("docker starts containers with the log driver json-file, ")
    (said,) = engines.notices(planned(".*"), host(ids="", podman="k8s-file"), tmp_path)
    assert said.startswith("podman starts containers with the log driver k8s-file, ")


def test_an_engine_that_is_down_is_not_started_and_one_without_storage_makes_none(tmp_path):
    run = host(docker_runs=False, docker="json-file", podman="k8s-file")
    assert engines.notices(planned(".*"), run, tmp_path / "none") == []
    assert [call[0] for call in run.calls] == ["systemctl"]


def test_without_a_source_of_containers_nobody_is_asked(tmp_path):
    run = host()
    assert engines.notices(planned(""), run, tmp_path) == []
    assert run.calls == []
