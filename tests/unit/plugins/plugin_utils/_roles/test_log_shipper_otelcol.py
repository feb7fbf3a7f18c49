# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The OpenTelemetry Collector is in no package registry: its configurations are golden files, checked by a table and a
grammar of ours, never run."""

from __future__ import annotations

import json

import pytest
import yaml
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.log_shipper.build import build
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.log_shipper.shippers.otelcol import Otelcol
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.platform import platform

from tests.unit import shipper_entries as entries
from tests.unit import shipper_grammar as grammar
from tests.unit import shipper_grammar_otelcol as own

HOST = platform("log_shipper", {"distribution": "Debian", "distribution_release": "trixie", "os_family": "Debian"})
SINKS = HOST.known["shippers"]["otelcol"]["sinks"]
CASES = grammar.cases(Otelcol.sources, SINKS, Otelcol.when_full)
TABLE = grammar.table("otelcol")
GOLDEN = grammar.DATA / "otelcol"


def built(options):
    return build({"state": "present", "python": "/usr/bin/python3", "provider": "otelcol", **options}, HOST)


def files(options):
    found = built(options)
    assert found.problems == ()
    return {file["path"]: file for file in found.component["files"]}


def configured(options):
    return files(options)[Otelcol.config]["content"]


def problems(text):
    return [*grammar.wrong_options(own.used(text), TABLE), *grammar.wrong_graph(own.graph(text))]


@pytest.mark.parametrize("case", CASES)
def test_a_configuration_is_its_golden_file_to_which_nothing_objects(case):
    text = configured(CASES[case])
    grammar.golden(GOLDEN / f"{case}.yaml", text)
    assert problems(text) == []
    assert not {word for word in (grammar.PASSWORD, grammar.TOKEN) if word in text}


def test_each_golden_file_and_each_option_of_the_table_is_of_a_case():
    assert grammar.strays("otelcol", "yaml", CASES) == []
    used = {use.option for options in CASES.values() for use in own.used(configured(options))}
    # Other options of the role than the cases have.
    others = {"client_auth", "basicauth", "endpoint", "s3_force_path_style"}
    assert {name for name in set(TABLE) - used if not others & set(name.split("."))} == set()


# What is done to a golden file, and a part of what is said about it.
BREAKAGE = {
    "unknown-key": ("all-otlp", "  num_consumers:", "  consumers:", "unknown option sending_queue.consumers"),
    "unknown-component": ("all-otlp", "  journald:\n", "  journal:\n", "unknown option receivers.journal"),
    "value-that-it-cannot-have": ("all-otlp", "sizer: bytes", "sizer: octets", "sending_queue.sizer cannot be"),
    "retries-that-end": ("all-kafka", "max_elapsed_time: 0s", "max_elapsed_time: 300s", "cannot be '300s'"),
    "metrics-for-everybody": ("all-s3", "host: 127.0.0.1", "host: 0.0.0.0", "host cannot be '0.0.0.0'"),
    "undefined-processor": (
        "all-otlp",
        "      - filter/central\n",
        "      - filter/centre\n",
        "filter/centre is referred",
    ),
    "undefined-storage": ("all-otlp", "storage: file_storage/buffers", "storage: file_storage/b", "file_storage/b is"),
    "storage-that-is-not-started": (
        "all-loki",
        "  - file_storage/buffers\n",
        "",
        "started extension file_storage/buffers",
    ),
    "dangling-input": (
        "all-otlp",
        "      receivers:\n      - file_log/files",
        "      receivers:\n      - journald",
        "leads",
    ),
    "output-without-input": ("all-otlp", "      - otlp_http/central\n", "      - otlp_http/second\n", "gets nothing"),
    "unknown-function": ("all-otlp", "- keep_keys(", "- keep(", "unknown option ottl.keep"),
    "argument-too-many": ("all-otlp", "ParseJSON(", "ParseJSON(1, ", "ottl.ParseJSON cannot be '2'"),
    "unknown-path": ("all-otlp", "set(log.severity_text", "set(log.severity", "unknown option ottl.log.severity"),
    "statement-that-ends": ("all-otlp", "log.body)\n", "log.body\n", "ottl: the end instead of ,"),
    "condition-without-comparison": ("all-otlp", '["source"] == nil\n', '["source"]\n', "instead of a comparison"),
    "pattern-that-re2-does-not-have": ("all-otlp", "^(vllm-", "^(?=vllm-", "is nothing for RE2"),
    "pattern-that-is-none": ("all-otlp", "^(vllm-", "^((vllm-", "missing )"),
    "dollar-that-is-a-reference": ("all-otlp", "(hf_)", "(${hf_})", "ottl: no token"),
    "secret-in-its-place": (
        "all-kafka",
        "${file:/etc/mlops-log-shipper/sink-central.password.escaped}",
        "x",
        "cannot be 'x'",
    ),
}


@pytest.mark.parametrize("name", BREAKAGE)
def test_a_checker_that_cannot_object_is_none(name):
    case, right, wrong, says = BREAKAGE[name]
    text = (GOLDEN / f"{case}.yaml").read_text()
    assert right in text
    found = problems(text.replace(right, wrong))
    assert [said for said in found if says in said], found


def sink(kind, **more):
    options = grammar.options(["journald"], kind)
    options["sinks"][0].update(more)
    return options


def exporter(options):
    (found,) = yaml.safe_load(configured(options))["exporters"].values()
    return found


def test_a_password_is_read_from_a_file_by_whichever_means_the_component_has():
    options = sink("otlp", token=None, username="ship", password="a$b")
    config = yaml.safe_load(configured(options))
    assert config["extensions"]["basicauth/central"] == {
        "client_auth": {"username": "ship", "password_file": "/etc/mlops-log-shipper/sink-central.password"}
    }
    assert exporter(options)["auth"] == {"authenticator": "basicauth/central"}
    assert problems(configured(options)) == []


def test_a_password_that_the_configuration_fetches_holds_no_reference():
    found = files(sink("kafka", password="a$b${env:HOME}"))
    file = found["/etc/mlops-log-shipper/sink-central.password.escaped"]
    assert (file["content"], file["mode"], file["secret"]) == ("a$$b$${env:HOME}", "0600", True)
    assert file["path"] in found[Otelcol.config]["validate_with"]


def test_access_keys_of_s3_are_in_a_file_of_their_own():
    found = files(sink("s3"))
    file = found["/etc/mlops-log-shipper/otelcol.aws-credentials"]
    assert (file["mode"], file["secret"]) == ("0600", True)
    assert file["content"] == (
        f"[default]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = {grammar.PASSWORD}\n"
    )
    unit = found["/etc/systemd/system/mlops-log-shipper.service"]["template_vars"]["__log_shipper_service"]
    assert unit["environment"] == (("AWS_SHARED_CREDENTIALS_FILE", file["path"]),)


def test_another_server_than_amazons_is_reached_by_its_path():
    uploader = exporter(sink("s3", url="https://minio.example.org:9000"))["s3uploader"]
    assert (uploader["endpoint"], uploader["s3_force_path_style"]) == ("https://minio.example.org:9000", True)


@pytest.mark.parametrize(
    ("kind", "url", "endpoint"),
    [
        ("otlp", "https://a:1", "https://a:1/v1/logs"),
        ("otlp", "https://a:1/", "https://a:1/v1/logs"),
        ("otlp", "https://a:1/in/logs", "https://a:1/in/logs"),
        ("loki", "https://a", "https://a/otlp/v1/logs"),
        ("loki", "https://a/loki/otlp/v1/logs", "https://a/loki/otlp/v1/logs"),
    ],
)
def test_a_path_of_the_url_replaces_the_usual_one(kind, url, endpoint):
    assert exporter(sink(kind, url=url))["logs_endpoint"] == endpoint


def test_a_buffer_is_bounded_in_bytes_and_blocks_unless_it_may_drop():
    queue = {"disk_max_mib": 3, "memory_max_records": 10}
    found = exporter(sink("otlp", queue=queue))["sending_queue"]
    assert (found["queue_size"], found["sizer"], found["block_on_overflow"]) == (3 * 1024 * 1024, "bytes", True)
    assert found["batch"]["max_size"] == 10
    assert exporter(sink("otlp", queue={"when_full": "drop_newest"}))["sending_queue"]["block_on_overflow"] is False


@pytest.mark.parametrize(("when_full", "again"), [("block", True), ("drop_newest", False)])
def test_what_a_queue_may_drop_is_not_read_again_for_ever(when_full, again):
    options = sink("otlp", queue={"when_full": when_full})
    receiver = yaml.safe_load(configured(options))["receivers"]["journald"]
    assert receiver["retry_on_failure"]["enabled"] is again


def test_the_name_in_a_certificate_is_checked():
    assert exporter(sink("syslog_tls"))["tls"]["server_name_override"] == "logs.example.org"
    assert exporter(sink("syslog_tls", permitted_peers=["a"]))["tls"]["server_name_override"] == "a"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            sink("syslog_tls", permitted_peers=["a", "b"]),
            "log_shipper_provider otelcol checks one name of a certificate, and these sinks have more permitted_peers: "
            "central.",
        ),
        (
            {"sinks": [{**sink("s3")["sinks"][0], "name": name, "password": name} for name in ("a", "b")]}
            | {"sources": sink("s3")["sources"], "routes": [{"name": "x", "from": ["journald"], "to": ["a", "b"]}]},
            "log_shipper_provider otelcol has one access key for all sinks of type s3, unlike: a, b.",
        ),
        (
            {**sink("otlp"), "routes": []},
            "log_shipper_provider otelcol does not run without a source that log_shipper_routes leads to a sink.",
        ),
    ],
)
def test_what_it_cannot_do_is_refused(options, says):
    assert built(options).problems == (says,)


@pytest.mark.parametrize("kind", ["opensearch", "http", "relp_tls"])
def test_a_sink_that_it_does_not_do_right_is_refused_with_those_that_do(kind):
    (said,) = built(sink(kind)).problems
    assert said.startswith(f"log_shipper_provider otelcol has no sinks of type {kind} on this host")


def test_it_is_ready_when_its_health_is_and_no_test_line_is_awaited():
    found = built(sink("otlp"))
    assert found.component["ready"][:-1] == [
        {
            "unit": "mlops-log-shipper.service",
            "command": Otelcol(HOST.known["shippers"]["otelcol"]).validate(Otelcol.config),
            "timeout_s": 10,
        },
        {"unit": "mlops-log-shipper.service", "http": "http://127.0.0.1:13133/", "timeout_s": 30},
    ]
    plan = next(file for file in found.component["files"] if file["path"].endswith("/plan.json"))
    assert (json.loads(plan["content"])["lines"], json.loads(plan["content"])["arrivals"]) == ([], [])
    assert [package["name"] for package in found.component["packages"]] == ["otelcol-contrib"]
    assert found.component["repositories"] == []


def test_names_that_look_alike_stay_apart():
    options = sink("otlp")
    options["sources"][0]["name"] = options["routes"][0]["from"][0] = "journal"
    options["sinks"] = [{**options["sinks"][0], "name": name} for name in ("journal", "route-journal", "files")]
    options["routes"][0]["to"] = ["journal", "route-journal", "files"]
    assert problems(configured(options)) == []


# What becomes of lines, by a model of the language that our statements are in.


def shipped(kind, fields, receiver="journald", **more):
    text = configured({**entries.options(kind, grammar.SINKS[kind]), **more})
    record = {
        "log.body": fields,
        "log.attributes": {},
        "log.time": entries.TIME,
        "log.observed_time_unix_nano": entries.TIME + 789,
        "resource.attributes": {},
    }
    found = own.shipped(text, receiver, record)
    return {name.partition("/")[2]: one for name, one in found.items()}


@pytest.mark.parametrize(
    ("fields", "record", "few"), [one[1:] for one in entries.ENTRIES], ids=[one[0] for one in entries.ENTRIES]
)
def test_an_entry_becomes_its_record_where_a_route_leads(fields, record, few):
    found = shipped("kafka", fields)
    assert ("all" in found, "few" in found) == (record is not None, few)
    if record is not None:
        assert found["all"]["log.body"] == entries.record(record)


def test_a_sink_of_texts_gets_json():
    body = shipped("s3", entries.entry("x", _SYSTEMD_UNIT="ray.service"))["all"]["log.body"]
    assert json.loads(body)["message"] == "x"


def test_otlp_has_a_message_with_attributes_and_a_resource():
    found = shipped("otlp", entries.ENTRIES[-1][1])["all"]
    assert (found["log.body"], found["log.severity_number"], found["log.severity_text"]) == ("Xid 79", 9, "info")
    assert found["resource.attributes"] == {"service.name": "units", "host.name": "gpu01"}
    members = entries.record(entries.ENTRIES[-1][2])
    assert found["log.attributes"] == {key: members[key] for key in members if key not in ("message", "@timestamp")}


def test_loki_has_few_attributes_and_all_of_them_in_the_resource():
    found = shipped("loki", entries.ENTRIES[-1][1])["all"]
    assert found["log.attributes"] == {}
    assert found["resource.attributes"] == {
        **{"service.name": "units", "host": "gpu01", "source": "units", "unit": "mlops-gpu-events.service"},
        **{"severity": "info", "gpu_uuid": "GPU-1", "team": "ml"},
    }


def test_syslog_has_structured_data_with_what_must_be_escaped():
    found = shipped("syslog_tls", {**entries.ENTRIES[-1][1], "SYSLOG_IDENTIFIER": "a b" + 60 * "x"})["all"]
    assert found["log.attributes"] == {
        **{"priority": 1 * 8 + 6, "hostname": "gpu01", "proc_id": "77", "message": "Xid 79"},
        "appname": "a_b" + 45 * "x",
        "structured_data": {
            "mlops@32473": {"source": "units", "unit": "mlops-gpu-events.service", "team": "ml"},
            "mlops-gpu@32473": {"xid": "79", "gpu_uuid": "GPU-1", "event_process": 'a \\"b\\]\\\\'},
        },
    }


@pytest.mark.parametrize(
    ("fields", "priority"),
    [
        ({"_TRANSPORT": "kernel", "PRIORITY": "3"}, 3),
        ({"_SYSTEMD_UNIT": "ray.service", "PRIORITY": "3"}, 8 + 3),
        ({"_SYSTEMD_UNIT": "ray.service", "PRIORITY": "3", "SYSLOG_FACILITY": "10"}, 80 + 3),
    ],
)
def test_syslog_has_the_facility_of_the_entry(fields, priority):
    assert shipped("syslog_tls", entries.entry("x", **fields))["all"]["log.attributes"]["priority"] == priority


def test_a_line_of_a_file_is_one_of_its_source_at_the_time_when_it_was_read():
    more = {
        "sources": [{"name": name, "type": "files", "paths": [f"/srv/{name}.log"]} for name in ("a", "b")],
        "routes": [{"name": "1", "from": ["a", "b"], "to": ["all"]}],
    }
    text = configured({**entries.options("syslog_tls", grammar.SINKS["syslog_tls"]), **more})
    receiver = yaml.safe_load(text)["receivers"]["file_log/b"]
    assert receiver["attributes"] == {"file": "b", "host": "${env:HOSTNAME}"}
    record = {"log.body": "x", "log.attributes": {"file": "b", "host": "gpu01"}, "resource.attributes": {}}
    record["log.observed_time_unix_nano"] = entries.TIME + 789
    (found,) = own.shipped(text, "file_log/b", record).values()
    assert found["log.time_unix_nano"] == entries.TIME
    assert found["log.attributes"] == {
        **{"priority": 14, "hostname": "gpu01", "message": "x"},
        "structured_data": {"mlops@32473": {"source": "b"}},
    }
