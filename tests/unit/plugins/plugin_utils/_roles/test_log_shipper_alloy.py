# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Grafana Alloy is in no package registry: its configurations are golden files, checked by a table and a grammar of
ours, never run."""

from __future__ import annotations

import json
import re

import pytest
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.log_shipper import redaction
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.log_shipper.build import build
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.log_shipper.shippers import alloy
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.log_shipper.shippers.alloy import Alloy
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.platform import platform

from tests.unit import shipper_entries as entries
from tests.unit import shipper_grammar as grammar
from tests.unit import shipper_grammar_alloy as own

HOST = platform("log_shipper", {"distribution": "Debian", "distribution_release": "trixie", "os_family": "Debian"})
SINKS = HOST.known["shippers"]["alloy"]["sinks"]
CASES = grammar.cases(Alloy.sources, SINKS, Alloy.when_full)
TABLE = grammar.table("alloy")
GOLDEN = grammar.DATA / "alloy"


def built(options):
    return build({"state": "present", "python": "/usr/bin/python3", "provider": "alloy", **options}, HOST)


def configured(options):
    found = built(options)
    assert found.problems == ()
    return next(file for file in found.component["files"] if file["path"] == Alloy.config)["content"]


def problems(text):
    return [*grammar.wrong_options(own.used(text), TABLE), *grammar.wrong_graph(own.graph(text))]


@pytest.mark.parametrize("case", CASES)
def test_a_configuration_is_its_golden_file_to_which_nothing_objects(case):
    text = configured(CASES[case])
    grammar.golden(GOLDEN / f"{case}.alloy", text)
    assert problems(text) == []
    assert not {word for word in (grammar.PASSWORD, grammar.TOKEN) if word in text}


def test_each_golden_file_and_each_option_of_the_table_is_of_a_case():
    assert grammar.strays("alloy", "alloy", CASES) == []
    used = {use.option for options in CASES.values() for use in own.used(configured(options))}
    # Other options of the role than the cases have.
    assert {name for name in set(TABLE) - used if "basic" not in name} == set()


# What is done to a golden file, and a part of what is said about it.
BREAKAGE = {
    "unknown-argument": (
        "all-loki",
        "max_backoff_retries =",
        "retries =",
        "unknown option loki.write.endpoint.retries",
    ),
    "unknown-component": (
        "all-loki",
        "loki.source.journal ",
        "loki.source.journald ",
        "unknown option loki.source.journald",
    ),
    "experimental": ("all-loki", "  endpoint {", "  wal {\n  }\n  endpoint {", "unknown option loki.write.wal"),
    "value-that-it-cannot-have": ("all-loki", 'level = "warn"', 'level = "loud"', "logging.level cannot be 'loud'"),
    "retries-that-end": ("all-loki", "max_backoff_retries = 0", "max_backoff_retries = 10", "cannot be '10'"),
    "undefined-receiver": (
        "all-loki",
        "loki.write.to_central.receiver",
        "loki.write.to_c.receiver",
        "to_c is referred",
    ),
    "undefined-rules": ("all-loki", "loki.relabel.journal.rules", "loki.relabel.j.rules", "loki.relabel.j is referred"),
    "export-that-it-does-not-have": (
        "all-loki",
        "loki.write.to_central.receiver",
        "loki.write.to_central.input",
        "unknown",
    ),
    "input-that-nobody-takes": (
        "kernel-loki",
        "forward_to = [loki.process.to_central.receiver]",
        "forward_to = []",
        "leads nowhere",
    ),
    "output-without-input": (
        "all-otlp",
        "exporter.otlphttp.to_central.input",
        "exporter.otlphttp.to_second.input",
        "nothing",
    ),
    "name-twice": ("all-loki", 'loki.write "to_second"', 'loki.write "to_central"', "is defined twice"),
    "block-that-does-not-end": ("kernel-loki", "}\n\nloki.write", "\n\nloki.write", "syntax: "),
    "argument-twice": ("kernel-loki", 'level = "warn"', 'level = "warn"\n  level = "info"', "twice"),
    "selector-that-is-none": ("kernel-loki", 'transport=\\"kernel\\"', "transport=kernel", "selector: "),
    "pattern-that-is-none": ("all-loki", "(?:hf_)(", "(?:hf_)((", "pattern: "),
    "pattern-that-re2-does-not-have": ("all-loki", "(?:hf_)", "(?<=hf_)", "is nothing for RE2"),
    "group-that-would-be-replaced": ("all-loki", "(?:hf_)", "(hf_)", "has not one group"),
    "unknown-function": ("all-otlp", "keep_keys(", "keep(", "unknown option ottl.keep"),
    "statement-that-ends": ("all-otlp", ", log.body)", ", log.body", "ottl: the end instead of ,"),
    "secret-that-is-shown": ("all-otlp", "is_secret = true", "is_secret = false", "is_secret cannot be 'false'"),
}


@pytest.mark.parametrize("name", BREAKAGE)
def test_a_checker_that_cannot_object_is_none(name):
    case, right, wrong, says = BREAKAGE[name]
    text = (GOLDEN / f"{case}.alloy").read_text()
    assert right in text
    found = problems(text.replace(right, wrong))
    assert [said for said in found if says in said], found


def sink(kind, **more):
    options = grammar.options(["journald"], kind)
    options["sinks"][0].update(more)
    return options


@pytest.mark.parametrize("kind", ["otlp", "loki"])
def test_a_password_is_read_from_a_file(kind):
    text = configured(sink(kind, token=None, username="ship", password="pa$s"))
    assert 'password_file = "/etc/mlops-log-shipper/sink-central.password"' in text
    assert problems(text) == []


@pytest.mark.parametrize(
    ("pattern", "same"),
    [
        ("a(b|c)d", "a(?:b|c)d"),
        (r"\(a\)", r"\(a\)"),
        ("[(]a[^)(]", "[(]a[^)(]"),
        ("[]()](x)", "[]()](?:x)"),
        ("[^]()](x)", "[^]()](?:x)"),
        (r"[\]()](x)", r"[\]()](?:x)"),
        ("(?:a)(b(c))", "(?:a)(?:b(?:c))"),
    ],
)
def test_groups_become_some_that_capture_nothing(pattern, same):
    assert alloy._without_groups(pattern) == same
    assert re.compile(same).groups == 0


LINES = (
    "Authorization: Bearer abcdef1234567890 and bearer zyxwvu0987654321",
    'POST {"prompt": "a \\"quoted\\" word", "content":"b", "model": "c"}',
    "prompt: 'tell me', api_key=0123456789abcdef, hf_ABCDEFGHIJKLMNOPQRST sk-abcdefghijklmnopqrstu",
    "customer-42 and customer-7",
    "nothing",
)


@pytest.mark.parametrize("line", LINES)
def test_what_is_replaced_is_what_all_replace(line):
    """As ``stage.replace`` does it: each group that captured becomes the text."""
    found = expected = line
    for one in (*redaction.BUILT_IN, redaction.Redaction("customer-[0-9]+")):
        expected = one.apply(expected)
        (_name, expression), (_replace, text) = alloy._replacing(one).body
        found = re.sub(
            expression,
            lambda m, text=text: m[0][: m.start(1) - m.start()] + text + m[0][m.end(1) - m.start() :],
            found,
        )
    assert found == expected
    assert (found == line) is (line == "nothing")


def test_names_that_look_alike_stay_apart():
    options = sink("loki")
    names = ["a-b", "a_b", "a_1b", "a-0b", "1"]
    options["sinks"] = [{**options["sinks"][0], "name": name} for name in names]
    options["routes"][0]["to"] = names
    assert problems(configured(options)) == []


def test_with_no_route_nothing_is_read():
    text = configured({**sink("loki"), "routes": []})
    assert [block.name for block in own.read(text)] == ["logging"]


@pytest.mark.parametrize("word", ["drop_newest", "drop_oldest"])
def test_what_has_no_buffer_on_disk_drops_nothing_of_it(word):
    (said,) = built(sink("loki", queue={"when_full": word})).problems
    assert said.startswith(f"log_shipper_provider alloy cannot {word} when a buffer is full")


@pytest.mark.parametrize(
    ("what", "kind", "options"),
    [
        ("sinks", "kafka", sink("kafka")),
        ("sinks", "syslog_tls", sink("syslog_tls")),
        ("sources", "files", grammar.options(["files"], "loki")),
    ],
)
def test_what_is_in_preview_or_loses_lines_is_refused_with_those_that_do_it(what, kind, options):
    (said,) = built(options).problems
    assert said.startswith(f"log_shipper_provider alloy has no {what} of type {kind} on this host")


def test_it_listens_for_the_host_only_and_reports_nothing():
    found = built(sink("loki"))
    unit = next(file for file in found.component["files"] if file["path"].endswith(".service"))
    assert unit["template_vars"]["__log_shipper_service"]["command"] == (
        "/usr/bin/alloy run --server.http.listen-addr=127.0.0.1:12345 --disable-reporting "
        "--storage.path=/var/spool/mlops-log-shipper/alloy /etc/mlops-log-shipper/config.alloy"
    )
    assert found.component["ready"][1:-1] == [
        {"unit": "mlops-log-shipper.service", "http": "http://127.0.0.1:12345/-/ready", "timeout_s": 30}
    ]
    plan = next(file for file in found.component["files"] if file["path"].endswith("/plan.json"))
    assert (json.loads(plan["content"])["lines"], found.component["repositories"]) == ([], [])
    assert [package["name"] for package in found.component["packages"]] == ["alloy"]


# What becomes of lines, by a model of the stages and of the language that our statements are in.


def shipped(kind, fields):
    found = own.shipped(configured(entries.options(kind, grammar.SINKS[kind])), fields, entries.TIME)
    return {name.rpartition(".")[2].removeprefix("to_"): one for name, one in found.items()}


@pytest.mark.parametrize(
    ("fields", "record", "few"), [one[1:] for one in entries.ENTRIES], ids=[one[0] for one in entries.ENTRIES]
)
def test_an_entry_becomes_its_record_where_a_route_leads(fields, record, few):
    for kind in ("otlp", "loki"):
        found = shipped(kind, fields)
        assert ("all" in found, "few" in found) == (record is not None, few)
    if record is None:
        return
    members = {key: value for key, value in entries.record(record).items() if key not in ("message", "@timestamp")}
    otlp = shipped("otlp", fields)["all"]
    assert (otlp["log.body"], otlp["log.attributes"]) == (record["message"], members)
    assert otlp["resource.attributes"] == {"service.name": record["source"], "host.name": "gpu01"}
    assert otlp["log.severity_text"] == record["severity"]
    loki = shipped("loki", fields)["all"]
    uuid = {"gpu_uuid": record["fields"]["gpu_uuid"]} if "gpu_uuid" in record.get("fields", {}) else {}
    few_of_it = {key: members[key] for key in ("host", "source", "unit", "severity") if key in members}
    assert loki == {"line": record["message"], "labels": {**few_of_it, **uuid, **record["labels"]}}
