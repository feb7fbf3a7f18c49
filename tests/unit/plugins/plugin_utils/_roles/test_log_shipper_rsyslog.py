# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.log_shipper import pipeline
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.log_shipper.shippers.rsyslog import Rsyslog
from ansible_collections.mlops.hosts.tests.unit.shipper_options import (
    CA,
    CERT,
    KEY,
    ON_HOST,
    PRIVATE_KEY,
    TEXTS,
    built,
    file,
    made,
    planned,
    receiver,
    route,
    shown,
    sink,
    source,
)


@pytest.mark.parametrize(
    ("lists", "packages"),
    [
        pytest.param({"sources": [source()]}, ["rsyslog"], id="nothing-needs-rsyslog-only"),
        pytest.param({"sinks": [sink(type="syslog_tls")]}, ["rsyslog", "rsyslog-gnutls"], id="syslog-needs-tls"),
        pytest.param({"sinks": [sink()]}, ["rsyslog", "rsyslog-gnutls", "rsyslog-relp"], id="relp-needs-relp"),
        pytest.param({"sinks": [sink(state="absent")]}, ["rsyslog"], id="an-absent-sink-needs-nothing"),
        pytest.param(
            {"receivers": [receiver(type="syslog_tls")]},
            ["rsyslog", "rsyslog-gnutls", "logrotate"],
            id="a-receiver-needs-logrotate",
        ),
    ],
)
def test_packages_are_those_that_are_needed(lists, packages):
    assert made(**lists)["packages"] == [{"name": name, "state": "present"} for name in packages]


KERNEL = '$!_TRANSPORT == "kernel"'


MODELS = 're_match($!_SYSTEMD_UNIT, "^(mlops-.*|vllm[.]service)\\$")'


PLAIN = MODELS.replace("|vllm[.]service", "")


TEST_LINE = '$.test != ""'


CONDITIONS = {
    "units": (source(units=["mlops-*", "vllm"]), MODELS),
    "kernel": ({"name": "kernel", "type": "kernel"}, KERNEL),
    "important": (
        {"name": "kernel", "type": "kernel", "priority": "warning"},
        f'{KERNEL} and ($syslogseverity <= 4 or $.test != "")',
    ),
    "instances": (
        {"name": "chat", "type": "model_servers", "instances": ["chat"]},
        MODELS.replace("mlops-.*|vllm[.]service", "mlops-model-chat[.]service"),
    ),
    "events": (
        {"name": "gpus", "type": "gpu_events"},
        MODELS.replace("mlops-.*|vllm[.]service", "mlops-gpu-events[.]service")
        + ' and ($!MLOPS_GPU_EVENT == "1" or $.test != "")',
    ),
    "containers": (
        {"name": "boxes", "type": "containers", "containers": ["chat-?"]},
        '$!CONTAINER_NAME != "" and re_match($!CONTAINER_NAME, "^(chat-.)\\$")',
    ),
    "files": ({"name": "old", "type": "files", "paths": ["/var/log/a.log"]}, '$syslogtag == "mlops-file-old:"'),
}


@pytest.mark.parametrize("kind", CONDITIONS)
def test_a_source_is_a_condition(kind):
    given, words = CONDITIONS[kind]
    (one,) = shown("sinks", sources=[given], sinks=[sink()], routes=[route(sources=[given["name"]])])
    assert [(flow["source"], flow["condition"]) for flow in one["flows"]] == [(given["name"], words)]


def test_what_several_sinks_get_is_worked_out_once():
    lists = {"sources": [source(), {"name": "kernel", "type": "kernel"}], "sinks": [sink(), sink("second", port=6515)]}
    routes = [route(sinks=["central", "second"]), route("b", sources=["kernel"], sinks=["second"], priority="err")]
    assert shown("sources", **lists, routes=routes) == [{"number": 1, "condition": PLAIN}]
    conditions = [[flow["condition"] for flow in one["flows"]] for one in shown("sinks", **lists, routes=routes)]
    assert conditions == [['$.is_1 != ""'], ['$.is_1 != ""', f"{KERNEL} and ({TEST_LINE} or ($syslogseverity <= 3))"]]


@pytest.mark.parametrize(
    ("routes", "condition"),
    [
        pytest.param([route()], "", id="all-of-it"),
        pytest.param([route(priority="warning")], f"{TEST_LINE} or ($syslogseverity <= 4)", id="important-lines"),
        pytest.param(
            [route(contains=["Xid", "error: 5"], excludes=["healthz"])],
            f'{TEST_LINE} or (($msg contains "Xid" or $msg contains "error: 5") and not ($msg contains "healthz"))',
            id="by-text",
        ),
        pytest.param(
            [route(priority="err"), route("b", excludes=["x"])],
            f'{TEST_LINE} or ($syslogseverity <= 3) or (not ($msg contains "x"))',
            id="either-way",
        ),
        pytest.param([route(priority="err"), route("b")], "", id="one-way-takes-all"),
    ],
)
def test_a_route_takes_what_it_says(routes, condition):
    (one,) = shown("sinks", sources=[source()], sinks=[sink()], routes=routes)
    assert [flow["condition"] for flow in one["flows"]] == [f"{PLAIN} and ({condition})" if condition else PLAIN]


def test_labels_are_those_of_the_source_and_of_each_route():
    routes = [route(labels={"team": "nlp", "tier": 1}), route("b", labels={"tier": 2})]
    sources = [source(labels={"model": "llama", "team": "all"})]
    (one,) = shown("sinks", sources=sources, sinks=[sink()], routes=routes)
    assert one["flows"][0]["labels"] == [
        {"name": "model", "value": "llama"},
        {"name": "team", "value": "nlp"},
        {"name": "tier", "value": "2"},
    ]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        pytest.param({}, {"port": 6514, "peers": ["loghost"], "cert": None, "key": None}, id="left-out"),
        pytest.param(
            {}, {"queue": {"disk_max_mib": 1024, "memory_max_records": 2000, "when_full": "block"}}, id="queue-left-out"
        ),
        pytest.param(
            {"queue": {"disk_max_mib": 64, "memory_max_records": None}},
            {"queue": {"disk_max_mib": 64, "memory_max_records": 2000, "when_full": "block"}},
            id="half-of-a-queue",
        ),
        pytest.param({"permitted_peers": ["a", "b"]}, {"peers": ["a", "b"]}, id="peers"),
        pytest.param({"permitted_peers": []}, {"peers": ["loghost"]}, id="no-peers-are-not-everybody"),
        pytest.param(ON_HOST, {"ca": CA, "cert": CERT, "key": PRIVATE_KEY}, id="paths-stay-as-they-are"),
        pytest.param(
            {**TEXTS, "private_key_content": KEY},
            {
                "ca": "/etc/mlops-log-shipper/sink-central.ca.pem",
                "cert": "/etc/mlops-log-shipper/sink-central.cert.pem",
                "key": "/etc/mlops-log-shipper/sink-central.key.pem",
            },
            id="texts-become-paths",
        ),
    ],
)
def test_a_sink_is_shown_to_the_template_with_all_it_needs(given, found):
    (one,) = shown("sinks", sinks=[sink(**given)])
    assert {name: one[name] for name in found} == found


def test_a_receiver_is_shown_with_its_defaults():
    (one,) = shown("receivers", receivers=[receiver()])
    rest = {name: str(value) for name, value in pipeline.RECEIVER.items() if name != "port"}
    assert one == {
        **rest,
        **{"name": "central", "type": "relp_tls", "port": 6514, "peers": ["sender"]},
        **{"ca": CA, "cert": CERT, "key": PRIVATE_KEY},
    }


@pytest.mark.parametrize("kind", ["relp_tls", "syslog_tls"])
def test_the_configuration_is_validated_with_the_contents_that_it_names(kind):
    component = made(sinks=[sink(**TEXTS | {"private_key_content": KEY}, type=kind)], receivers=[receiver()])
    assert file(component, Rsyslog.config)["validate_with"] == [
        "/etc/mlops-log-shipper/sink-central.ca.pem",
        "/etc/mlops-log-shipper/sink-central.cert.pem",
        "/etc/mlops-log-shipper/sink-central.key.pem",
    ]


def test_metrics_are_there_for_those_who_say_where():
    folder = "/var/lib/prometheus/node-exporter"
    component = made(sinks=[sink()], textfile_dir=folder)
    assert component["links"] == [
        {
            "path": f"{folder}/mlops_log_shipper.prom",
            "target": "/var/lib/mlops-log-shipper/log_shipper.prom",
            "on_change": "none",
        }
    ]
    assert file(component, Rsyslog.config)["template_vars"]["__log_shipper_metrics"].endswith("log-shipper metrics")
    assert folder in [item.get("path") for item in component["requires"]]
    assert made(sinks=[sink()])["links"] == made(receivers=[receiver()], textfile_dir=folder)["links"] == []
    assert len(built(sinks=[sink()], textfile_dir="here").problems) == 1


def test_nothing_of_the_sites_own_rsyslog_is_touched():
    component = made(sources=[source()], sinks=[sink()], routes=[route()], receivers=[receiver()])
    assert not [item["path"] for item in component["files"] if item["path"].startswith("/etc/rsyslog")]
    assert "rsyslog.service" not in {unit["name"] for unit in component["units"]}


def test_rsyslog_refuses_what_it_alone_cannot_do():
    search = {"name": "search", "type": "opensearch", "url": "https://logs.example.org", "token": "c2VjcmV0"}
    topic = {
        "name": "bus",
        "type": "kafka",
        "brokers": ["a:9093"],
        "topic": "t",
        "username": "u",
        "password": "c2VjcmV0",
    }
    found = built(sinks=[search, topic])
    assert found.problems == (
        "How Kafka checks a password is no option: with rsyslog give a certificate instead in: bus.",
        "rsyslog reads no token from a file: give username and password in: search.",
    )
    assert "c2VjcmV0" not in repr(found)


def test_a_driver_for_tls_is_looked_for_where_it_is_needed():
    assert planned(sinks=[sink(type="syslog_tls")])["modules"] == {"lmnsd_gtls": "rsyslog-gnutls"}
    assert planned(sinks=[sink()])["modules"] == {}
