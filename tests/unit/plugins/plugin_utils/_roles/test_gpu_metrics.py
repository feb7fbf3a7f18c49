# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role builds one service, and watches what the other roles have on the host."""

from __future__ import annotations

import json
import re

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._gpu_metrics import config
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles import templates
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.built import Built
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.gpu_metrics import build as room
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.gpu_metrics import dcgm, dcgm_container, dcgm_packages
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.platform import Platform
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.variables import specification

OTHERS = {
    "model_store": {"dir": "/var/lib/mlops-models", "artifacts": []},
    "model_gateway": {"tls": {}},
    "log_shipper": {"sinks": [], "receivers": []},
}
OPTIONS = {
    "state": "present",
    "textfile_dir": "/var/lib/node_exporter/textfile_collector",
    "interval_s": 15,
    "stores": None,
    "certificates": None,
    "python": "/usr/bin/python3",
    "probes": [],
    "provider": "textfile",
    "others": OTHERS,
}


def built(**more):
    return room.build({**OPTIONS, **more}, Platform())


def configured(**more):
    (file,) = [file for file in built(**more).component["files"] if file["path"] == config.PATH]
    return json.loads(file["content"])


def test_by_default_nothing_is_done():
    assert built(state="unmanaged") == Built()
    assert room.reads({**OPTIONS, "state": "unmanaged"}) == {}


def test_what_is_installed():
    component = built().component
    assert component["users"] == [{"name": "mlops-gpu-metrics", "groups": []}]
    assert component["links"] == [
        {
            "path": "/var/lib/node_exporter/textfile_collector/mlops_gpu_metrics.prom",
            "target": "/var/lib/mlops-gpu-metrics/gpu_metrics.prom",
            "on_change": "none",
        }
    ]
    # New code and another interval count once they are there.
    assert {file.get("on_change", "restart") for file in component["files"]} == {"restart"}
    assert [(one["kind"], one["path"]) for one in component["requires"]] == [("textfile", OPTIONS["textfile_dir"])]


def test_without_a_directory_there_is_no_link():
    component = built(textfile_dir="").component
    assert (component["links"], component["requires"]) == ([], [])


def test_what_goes():
    found = built(state="absent")
    assert found.component == {"name": "gpu_metrics", "state": "absent"}
    assert found.rest(False, False) == {"leftovers": ["/var/lib/mlops-gpu-metrics"]}


def test_where_other_roles_have_nothing_nothing_is_watched():
    nothing = {"interval_s": 15, "certificates": [], "stores": [], "probes": []}
    assert configured() == configured(others=dict.fromkeys(OTHERS)) == nothing


def test_what_other_roles_have_is_watched():
    others = {
        "model_store": {"dir": "/srv/models", "artifacts": [{"name": "chat"}]},
        "model_gateway": {"tls": {"pem": "-----BEGIN"}},
        "log_shipper": {
            "sinks": [
                {"name": "central", "state": "present", "cert": "/etc/central.pem", "cert_content": None},
                {"name": "lake", "state": "present", "cert": None, "cert_content": "-----BEGIN"},
                {"name": "old", "state": "absent", "cert": "/etc/old.pem", "cert_content": None},
                {"name": "plain", "state": "present", "cert": None, "cert_content": None},
            ],
            "receivers": [{"name": "fleet", "state": "present", "cert": "/etc/central.pem", "cert_content": None}],
        },
    }
    assert configured(others=others) == {
        "interval_s": 15,
        "certificates": [
            "/etc/mlops.hosts/model_gateway/tls.pem",
            "/etc/central.pem",
            "/etc/mlops-log-shipper/sink-lake.cert.pem",
        ],
        "stores": ["/srv/models"],
        "probes": [],
    }


def test_what_the_host_is_told_to_watch_counts_instead():
    assert room.reads({**OPTIONS, "stores": [], "certificates": ["/a.pem"]}) == {}
    assert room.reads({**OPTIONS, "stores": []}).keys() == {"model_gateway", "log_shipper"}
    found = configured(stores=["/srv", "/srv"], certificates=["/a.pem"], others={})
    assert (found["stores"], found["certificates"]) == (["/srv"], ["/a.pem"])


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"textfile_dir": "metrics"}, "gpu_metrics_textfile_dir must be an absolute path"),
        ({"interval_s": 4}, "gpu_metrics_interval_s must be from 5 to 300, not 4."),
        ({"interval_s": 301}, "gpu_metrics_interval_s must be from 5 to 300, not 301."),
        ({"stores": ["srv"]}, "gpu_metrics_stores must be absolute paths, not srv."),
        ({"certificates": ["/a", "b", "c"]}, "gpu_metrics_certificates must be absolute paths, not b, c."),
    ],
)
def test_what_is_refused(more, says):
    (problem,) = built(**more).problems
    assert says in problem


PROBE = {
    "model_instance": "chat",
    "interval_s": 60,
    "timeout_s": 30,
    "prompt": "Where?",
    "max_tokens": 8,
    "expect": "Paris",
    "refusal_pattern": "sorry",
}
SERVERS = [
    {"name": "chat", "state": "present", "host": "0.0.0.0", "port": 8001, "api_key": "sk-1"},
    {"name": "vectors", "state": "present", "engine": "tei", "host": "10.0.0.1", "port": 8002},
    {"name": "old", "state": "absent"},
]


def probing(*probes):
    return {"probes": list(probes), "others": {**OTHERS, "model_server": {"instances": SERVERS}}}


def unit_vars(found):
    (file,) = [file for file in found.component["files"] if file["path"].endswith(".service")]
    return file["template_vars"]["__gpu_metrics"]


def test_a_probe_asks_where_the_instance_listens_with_its_key_by_file():
    assert room.reads({**OPTIONS, **probing(PROBE)})["model_server"] == ("instances",)
    found = built(**probing(PROBE, {**PROBE, "model_instance": "vectors", "expect": None}))
    chat, vectors = configured(**probing(PROBE, {**PROBE, "model_instance": "vectors", "expect": None}))["probes"]
    assert chat == {
        **PROBE,
        "url": "http://127.0.0.1:8001",
        "kind": "completion",
        "model": "chat",
        "api_key_file": "/etc/mlops.hosts/model_server/chat/api_key",
    }
    assert (vectors["kind"], vectors["url"], vectors["api_key_file"]) == ("embedding", "http://10.0.0.1:8002", None)
    # The unit may speak to these, and to nobody else.
    assert unit_vars(found)["asked"] == ["10.0.0.1", "localhost"]
    assert unit_vars(built())["asked"] == []


@pytest.mark.parametrize(
    ("probes", "says"),
    [
        (
            [{**PROBE, "model_instance": "x"}],
            "names x, which must be one of model_server_instances; on this host are chat",
        ),
        ([{**PROBE, "model_instance": "old"}], "names old, which must be one of"),
        ([{**PROBE, "interval_s": 29}], "gpu_metrics_probes[chat].interval_s must be 30 or more, not 29."),
        ([{**PROBE, "timeout_s": 0}], "gpu_metrics_probes[chat].timeout_s must be from 1 to 600, not 0."),
        (
            [{**PROBE, "refusal_pattern": "("}],
            "refusal_pattern must be a regular expression of Python, and is not: miss",
        ),
        ([{**PROBE, "model_instance": "vectors"}], "gpu_metrics_probes[vectors].expect must be left out"),
        ([PROBE, PROBE], "gpu_metrics_probes must have an instance once each, and has more of chat."),
    ],
)
def test_probes_that_are_refused(probes, says):
    (problem,) = built(**probing(*probes)).problems
    assert says in problem


def test_what_a_probe_leaves_out_is_what_the_manual_says():
    option = specification("gpu_metrics")["gpu_metrics_probes"]["options"]
    (found,) = configured(**probing({"model_instance": "chat", "prompt": None}))["probes"]
    stated = {name: one.get("default") for name, one in option.items() if name != "model_instance"}
    assert {name: found[name] for name in stated} == stated


KEY = {"repository_url": "https://mirror.example.org", "repository_key": "-----BEGIN", "repository_fingerprint": ""}
DCGM = {
    **KEY,
    "provider": "dcgm",
    "dcgm_deployment": "packages",
    "dcgm_cuda": 13,
    "dcgm_version": "1:4.6.0-1",
    "dcgm_exporter_version": "",
    "dcgm_address": "127.0.0.1",
    "dcgm_port": 9400,
}
NOBLE = Platform(distribution="Ubuntu", distribution_release="noble", architecture="x86_64")


EXPORTER = dcgm_packages.EXPORTER


def with_dcgm(platform=NOBLE, **more):
    return room.build({**OPTIONS, **DCGM, **more}, platform)


def test_without_dcgm_nobody_is_asked_for_the_platform():
    assert room.facts(OPTIONS) == ()
    assert room.facts({**OPTIONS, **DCGM, "state": "absent"}) == ()
    assert "architecture" in room.facts({**OPTIONS, **DCGM})


def test_dcgm_comes_besides_the_service():
    component = with_dcgm().component
    assert component["repositories"][0]["uris"] == ["https://mirror.example.org/ubuntu2404/x86_64/"]
    assert {item["name"]: item["version"] for item in component["packages"]} == {
        "datacenter-gpu-manager-4-core": "1:4.6.0-1",
        "datacenter-gpu-manager-4-proprietary": "1:4.6.0-1",
        "datacenter-gpu-manager-4-cuda13": "1:4.6.0-1",
        "datacenter-gpu-manager-exporter": None,
    }
    # What moves by itself may no longer fit the driver.
    assert all(item["hold"] for item in component["packages"])
    assert [unit["name"] for unit in component["units"]] == [room.UNIT, "nvidia-dcgm.service", dcgm_packages.EXPORTER]


def test_a_change_of_one_does_not_restart_the_other():
    files = {file["path"]: file["units"] for file in with_dcgm().component["files"]}
    assert files.pop(dcgm.COUNTERS) == files.pop(f"/etc/systemd/system/{EXPORTER}.d/mlops.conf") == [EXPORTER]
    assert {unit for units in files.values() for unit in units} == {room.UNIT}


@pytest.mark.parametrize(
    ("address", "listens", "asked"),
    [
        ("127.0.0.1", "127.0.0.1:9400", "127.0.0.1:9400"),
        ("0.0.0.0", "0.0.0.0:9400", "127.0.0.1:9400"),
        ("::", "[::]:9400", "[::1]:9400"),
        ("10.0.0.1", "10.0.0.1:9400", "10.0.0.1:9400"),
    ],
)
def test_where_the_exporter_listens_and_is_asked(address, listens, asked):
    component = with_dcgm(dcgm_address=address).component
    (drop_in,) = [file for file in component["files"] if file["path"].endswith("mlops.conf")]
    assert drop_in["template_vars"]["__gpu_metrics"]["listens"] == listens
    assert component["ready"][-1]["http"] == f"http://{asked}/metrics"


def test_the_counters_are_fields_of_dcgm_each_once():
    (file,) = [file for file in with_dcgm().component["files"] if file["path"] == dcgm.COUNTERS]
    rows = [line.split(", ") for line in file["content"].splitlines() if line and not line.startswith("#")]
    assert {len(row) for row in rows} == {3}
    assert {kind for _name, kind, _about in rows} == {"gauge", "counter", "label"}
    assert len({name for name, _kind, _about in rows}) == len(rows)
    assert all(re.fullmatch(r"DCGM_FI_(DEV|PROF|DRIVER)_[A-Z_]+", name) for name, _kind, _about in rows)


def test_dcgm_needs_a_gpu_of_nvidia():
    found = with_dcgm()
    assert found.question.module == "mlops.hosts.driver_info"
    assert found.conflicts({"gpus": [{"pci_id": "10de:2330"}]}, {}, False) == []
    (sentence,) = found.conflicts({"gpus": []}, {}, False)
    assert sentence.endswith("the PCI bus of this host has none; set it to textfile.")


@pytest.mark.parametrize(
    ("platform", "more", "says"),
    [
        (
            Platform(distribution="Rocky", distribution_release="Blue"),
            {},
            "for Debian and Ubuntu, and this host is Rocky",
        ),
        (NOBLE, {"repository_key": ""}, "gpu_metrics_repository_key is not set"),
        (NOBLE, {"dcgm_address": "all"}, "gpu_metrics_dcgm_address must be an IP address to listen on, not 'all'."),
        (NOBLE, {"dcgm_cuda": 10}, "gpu_metrics_dcgm_cuda must be a major release of CUDA from 11 on, not 10."),
        (NOBLE, {"dcgm_port": 0}, "gpu_metrics_dcgm_port must be from 1 to 65535, not 0."),
    ],
)
def test_dcgm_that_is_refused(platform, more, says):
    (problem,) = with_dcgm(platform, **more).problems
    assert says in problem


# DCGM's exporter in a container

IMAGE = f"r.example.org/dcgm-exporter@sha256:{'a' * 64}"
ROCKY = Platform(distribution="Rocky", distribution_release="Blue Onyx")


def in_container(podman="5.4.2", docker=None, cdi_enabled=None, **more):
    options = {
        **OPTIONS,
        **DCGM,
        "repository_key": "",
        "dcgm_deployment": "container",
        "dcgm_image": IMAGE,
        "dcgm_engine": "container",
        "dcgm_container_engine": "auto",
        **more,
    }
    versions = {"podman": {"version": podman}, "docker": {"version": docker, "cdi_enabled": cdi_enabled}}
    assert room.facts(options) == ()  # any distribution
    return room.build(options, ROCKY, *(versions[item.args["provider"]] for item in room.asks(options)))


def unit_of_container(found):
    (file,) = [file for file in found.component["files"] if file.get("units") == [dcgm_container.EXPORTER]][1:]
    return file["path"], templates.render("gpu_metrics", file["template"], file["template_vars"])


def test_a_host_is_asked_for_its_container_engine_only_for_a_container():
    assert room.asks(OPTIONS) == room.asks({**OPTIONS, **DCGM}) == ()
    assert room.asks({**OPTIONS, **DCGM, "dcgm_deployment": "container", "state": "absent"}) == ()


def test_a_container_takes_no_package():
    component = in_container().component
    assert "packages" not in component and "repositories" not in component
    assert component["images"] == [{"name": IMAGE, "engine": "podman", "needs_driver": True}]
    assert [unit["name"] for unit in component["units"]] == [room.UNIT, dcgm_container.EXPORTER]


@pytest.mark.parametrize(
    ("versions", "folder"),
    [({}, "/etc/containers/systemd"), ({"podman": None, "docker": "26.1.5"}, "/etc/systemd/system")],
)
def test_with_an_engine_in_it_a_container_gets_gpus_and_what_profiling_takes(versions, folder):
    path, unit = unit_of_container(in_container(**versions))
    assert path.startswith(f"{folder}/mlops-dcgm-exporter.")
    for words in ("--cap-drop=ALL", "--cap-add=SYS_ADMIN", "--device=nvidia.com/gpu=all", "--pull=never", IMAGE):
        assert words in unit
    assert "-f /etc/mlops.hosts/dcgm-counters.csv -a 127.0.0.1:9400\n" in unit
    assert "nvidia-dcgm.service" not in unit


@pytest.mark.parametrize("versions", [{}, {"podman": None, "docker": "26.1.5"}])
def test_with_the_engine_of_the_host_it_gets_neither(versions):
    found = in_container(**versions, dcgm_engine="host")
    _path, unit = unit_of_container(found)
    assert "-a 127.0.0.1:9400 -r localhost:5555\n" in unit
    assert "After=nvidia-dcgm.service" in unit
    assert "SYS_ADMIN" not in unit and "--device" not in unit
    assert found.component["images"] == [{"name": IMAGE, "engine": found.component["images"][0]["engine"]}]
    assert found.context == ()
    assert found.component["ready"][1] == {"tcp": "localhost:5555", "timeout_s": 30}


def test_two_engines_are_refused():
    ports = {item["port"]: item for item in in_container().component["requires"] if item["kind"] == "port"}
    assert "two take the counters of profiling from each other" in ports[5555]["msg"]
    host = in_container(dcgm_engine="host").component["requires"]
    assert [item["port"] for item in host if item["kind"] == "port"] == [9400]


@pytest.mark.parametrize(
    ("versions", "devices", "dry_run", "says"),
    [
        ({}, ["0", "all"], False, None),
        ({}, ["0"], False, "DCGM's exporter needs all, which no file in /etc/cdi or /var/run/cdi offers"),
        ({}, [], True, None),
        (
            {"podman": None, "docker": "26.1.5", "cdi_enabled": False},
            ["all"],
            False,
            "DCGM's exporter needs GPUs, and Docker does not give devices by CDI",
        ),
    ],
)
def test_gpus_that_the_container_would_not_get(versions, devices, dry_run, says):
    found = in_container(**versions)
    cdi = {"specs": [{"kind": "nvidia.com/gpu", "devices": devices}]}
    sentences = found.conflicts({"gpus": [{"pci_id": "10de:2330"}]}, {"context": [cdi]}, dry_run)
    assert [sentence[: len(says)] for sentence in sentences] == ([says] if says else [])


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (
            {"dcgm_image": "r.example.org/dcgm-exporter:4.5.3-4.8.2"},
            "by its digest (registry/name@sha256:...), not 'r.",
        ),
        ({"dcgm_image": ""}, "gpu_metrics_dcgm_image must be the image of DCGM's exporter by its digest"),
        ({"podman": "4.3.1"}, "Podman 4.3.1 has no quadlets"),
        ({"dcgm_port": 0}, "gpu_metrics_dcgm_port must be from 1 to 65535, not 0."),
    ],
)
def test_containers_that_are_refused(more, says):
    (problem,) = in_container(**more).problems
    assert says in problem


def test_packages_that_are_not_known_have_a_way_out():
    (problem,) = with_dcgm(ROCKY).problems
    assert problem.endswith("set gpu_metrics_dcgm_deployment to container.")
