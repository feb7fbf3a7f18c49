# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Vector is told. Its configurations are checked by a table of ours, and never run.

Its programs (VRL) are compiled and run where the package ``vrl-python`` is there, which has the compiler of an earlier
release; it is none of what tests need.
"""

from __future__ import annotations

import copy
import json

import pytest
import yaml
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.log_shipper import pipeline
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.log_shipper.build import build
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.log_shipper.redaction import BUILT_IN
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.log_shipper.shippers.base import EVENT_FIELDS
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.log_shipper.shippers.vector import (
    PORT,
    SECRETS,
    Vector,
    file_lines,
    journal_lines,
    to_sink,
)
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.platform import platform

from tests.unit import shipper_grammar as grammar
from tests.unit import shipper_grammar_vector as checker

DEBIAN = platform("log_shipper", {"distribution": "Debian", "distribution_release": "trixie", "os_family": "Debian"})
ROW = DEBIAN.known["shippers"]["vector"]


def without_login(case):
    """How Kafka checks a password is no option."""
    found = copy.deepcopy(case)
    for sink in found["sinks"]:
        if sink["type"] == "kafka":
            del sink["username"], sink["password"]
    return found


CASES = {
    name: without_login(case) for name, case in grammar.cases(Vector.sources, ROW["sinks"], Vector.when_full).items()
}


def built(**options):
    return build({"state": "present", "provider": "vector", "python": "/usr/bin/python3", **options}, DEBIAN)


def files(case):
    found = built(**case)
    assert found.problems == ()
    return {file["path"]: file for file in found.component["files"]}


def config(case):
    return files(case)[Vector.config]["content"]


def secrets(case):
    made = files(case)
    return json.loads(made[SECRETS]["content"]) if SECRETS in made else {}


@pytest.mark.parametrize("case", CASES)
def test_what_is_built_is_what_it_was_and_the_table_knows_all_of_it(case):
    text = config(CASES[case])
    grammar.golden(grammar.DATA / "vector" / f"{case}.yaml", text)
    assert checker.complaints(text, secrets(CASES[case])) == []
    assert grammar.PASSWORD not in text and grammar.TOKEN not in text


def test_no_golden_file_is_left_over():
    assert grammar.strays("vector", "yaml", CASES) == []


ALL = "all-loki"


def changed(**places):
    found = yaml.safe_load(config(CASES[ALL]))
    for place, change in places.items():
        change(found[place])
    return yaml.safe_dump(found)


MUTANTS = {
    "an-unknown-key": (
        {"sinks": lambda sinks: sinks["sink_central"].update(lables={})},
        "sinks.sink_central: unknown option sinks.lables",
    ),
    "a-key-that-is-gone": (
        {"sinks": lambda sinks: sinks["sink_central"].update(headers={"a": "b"})},
        "sinks.sink_central: unknown option sinks.headers.a",
    ),
    "an-unknown-sink": (
        {"sinks": lambda sinks: sinks["sink_central"].update(type="loky")},
        "sinks.sink_central: unknown option sinks.type",
    ),
    "a-small-buffer": (
        {"sinks": lambda sinks: sinks["sink_central"]["buffer"].update(max_size=268435487)},
        "sinks.sink_central: sinks.buffer.max_size cannot be '268435487'",
    ),
    "a-buffer-in-memory": (
        {"sinks": lambda sinks: sinks["sink_central"]["buffer"].update(type="memory")},
        "sinks.sink_central: sinks.buffer.type cannot be 'memory'",
    ),
    "no-acknowledgements": (
        {"sinks": lambda sinks: sinks["sink_central"].pop("acknowledgements")},
        "sinks.sink_central: acknowledgements.enabled is missing",
    ),
    "a-template-that-is-not-confined": (
        {"sinks": lambda sinks: sinks["sink_central"].update(tenant_id="{{ tenant }}")},
        "sinks.sink_central: sinks.loki.tenant_id cannot be '{{ tenant }}'",
    ),
    "a-certificate-of-anybody": (
        {"sinks": lambda sinks: sinks["sink_central"]["tls"].pop("verify_hostname")},
        "sinks.sink_central: tls.verify_hostname is missing",
    ),
    "lines-that-go-on-as-they-were": (
        {"transforms": lambda transforms: transforms["to_central"].pop("drop_on_error")},
        "transforms.to_central: drop_on_error is missing",
    ),
    "a-listener-for-all": (
        {"sinks": lambda sinks: sinks["metrics"].update(address="0.0.0.0:9598")},
        "sinks.metrics: sinks.prometheus_exporter.address cannot be '0.0.0.0:9598'",
    ),
    "an-input-that-is-not-there": (
        {"sinks": lambda sinks: sinks["sink_central"].update(inputs=["to_centrl"])},
        "to_centrl is referred to and not defined",
    ),
    "an-output-without-input": (
        {"sinks": lambda sinks: sinks["sink_central"].update(inputs=[])},
        "output sink_central gets nothing",
    ),
    "a-source-for-nobody": (
        {"sources": lambda sources: sources.update(more=sources["journal"])},
        "input more leads nowhere",
    ),
    "a-secret-that-is-not-there": (
        {"sinks": lambda sinks: sinks["sink_central"]["auth"].update(token="SECRET[sinks.other_token]")},
        "other_token is referred to and not defined",
    ),
    "a-secret-in-the-open": (
        {"sinks": lambda sinks: sinks["sink_central"]["auth"].update(token="abc")},
        "sinks.sink_central: sinks.loki.auth.token cannot be 'abc'",
    ),
}


@pytest.mark.parametrize(("change", "says"), MUTANTS.values(), ids=list(MUTANTS))
def test_the_checker_objects(change, says):
    assert says in checker.complaints(changed(**change), secrets(CASES[ALL]))


def test_a_section_that_is_none_is_said():
    text = config(CASES[ALL]) + "sinkz: {x: {type: loki}}\n"
    assert "sinkz: unknown option sinkz.x.type" in checker.complaints(text, secrets(CASES[ALL]))


def case(sink="http", **more):
    found = without_login(CASES[f"journald-{sink}"]) if sink != "kafka" else grammar.options(["journald"], sink)
    found["sinks"][0].update(more)
    return found


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        pytest.param(
            case("kafka"),
            "How Kafka checks a password is no option: with Vector give a certificate instead in: central.",
            id="a-password-for-kafka",
        ),
        pytest.param(
            case("opensearch", username=None, password=None, token="t"),
            "Vector sends no token to OpenSearch: give username and password in: central.",
            id="a-token-for-opensearch",
        ),
        pytest.param(case(token=""), "A password or token is empty in: central.", id="an-empty-token"),
    ],
)
def test_what_it_alone_cannot_do_is_refused(options, sentence):
    assert built(**options).problems == (sentence,)


def test_a_repository_whose_key_the_role_does_not_have_is_refused():
    assert built(**case(), repository_url="https://apt.vector.dev").problems == (
        "log_shipper_repository_url is set, and the role has no key for packages of vector; leave it empty.",
    )


def test_the_smallest_buffer_is_said():
    (problem,) = built(**case(queue={"disk_max_mib": 256})).problems
    assert problem == "The buffer of vector has at least 257 MiB, more than disk_max_mib of: central."


@pytest.mark.parametrize("kind", ["syslog_tls", "relp_tls"])
def test_sinks_that_it_has_not_right_are_refused(kind):
    problems = built(**grammar.options(["journald"], kind)).problems
    assert any(f"vector has no sinks of type {kind}" in problem for problem in problems)


@pytest.mark.parametrize("token", ['a"b\\c', "it's: #1 {x} ${HOME}", "two\nlines", "é\t"])
def test_a_secret_is_what_it_was_after_the_text_was_put_together(token):
    options = case(token=token)
    text = config(options)
    for name, value in secrets(options).items():
        text = text.replace(f"SECRET[sinks.{name}]", value)
    assert yaml.safe_load(text)["sinks"]["sink_central"]["auth"]["token"] == token
    assert token not in repr({path: file for path, file in files(options).items() if not file.get("secret")})


def test_it_is_checked_with_all_that_it_names():
    made = files(CASES[ALL])
    checked = made[Vector.config]
    assert checked["validate_with"] == [SECRETS] and made[SECRETS]["secret"]
    assert checked["validate"] == [
        *("/usr/bin/vector", "validate", "--skip-healthchecks", "--config-yaml", "{staged}"),
    ]
    assert {made[path]["mode"] for path in (SECRETS, Vector.config)} == {"0600"}


def test_the_unit_is_asked_on_loopback():
    component = built(**CASES[ALL]).component
    url = f"http://127.0.0.1:{PORT}/metrics"
    assert {"http": url, "unit": pipeline.UNIT, "timeout_s": 20} in component["ready"]
    assert [package["name"] for package in component["packages"]] == ["vector"]


def test_a_path_replaces_the_usual_one():
    sinks = [
        {"name": "a", "type": "loki", "url": "https://logs.example.org/x/push"},
        {"name": "b", "type": "otlp", "url": "https://logs.example.org:4318/otlp/v1/logs/"},
    ]
    options = case()
    routes = [{"name": "all", "from": ["journald"], "to": ["a", "b"]}]
    found = yaml.safe_load(config({**options, "sinks": sinks, "routes": routes}))["sinks"]
    assert (found["sink_a"]["endpoint"], found["sink_a"]["path"]) == ("https://logs.example.org", "/x/push")
    assert found["sink_b"]["protocol"]["uri"] == "https://logs.example.org:4318/otlp/v1/logs"


# Programs, where their compiler is there.

# What Vector knows of the fields of an event decides whether a program is one: as much as it may know, and nothing.
KNOWN = "".join(
    f'.{name} = "1"\n'
    for name in (
        *("message", "host", "_SYSTEMD_UNIT", "_PID", "UNIT", "PRIORITY", "SYSLOG_IDENTIFIER", "_COMM", "_TRANSPORT"),
        *("CONTAINER_NAME", "MLOPS_GPU_EVENT", *EVENT_FIELDS),
    )
)


@pytest.mark.parametrize("name", CASES)
def test_programs_compile(name):
    runtime = pytest.importorskip("vrl_python").VRLRuntime
    made = pipeline.parse(CASES[name])
    first = [journal_lines(made), *(file_lines(made, source) for source in made.sources if source.paths)]
    programs = [*first, *(to_sink(made, sink) for sink in made.sinks)]
    programs += [f"{KNOWN}{lines}{to_sink(made, sink)}" for lines in first for sink in made.sinks]
    found = [runtime.check_syntax(program) for program in programs]
    assert [fault.formatted_message for fault in found if fault is not None] == []


def shipped(case, entry, sink="central"):
    runtime = pytest.importorskip("vrl_python").VRLRuntime
    made = pipeline.parse(case)
    line = runtime.run(journal_lines(made), entry, "UTC").processed_event
    (program,) = [to_sink(made, one) for one in made.sinks if one.name == sink]
    try:
        return runtime.run(program, line, "UTC").processed_event
    except RuntimeError as exc:
        assert "aborted" in str(exc)
        return None


ENTRY = {
    "message": "hello",
    "timestamp": "2026-09-21T14:13:20.123456Z",
    "host": "gpu1",
    "_SYSTEMD_UNIT": "vllm@a.service",
    "_PID": "12",
    "PRIORITY": "6",
    "SYSLOG_IDENTIFIER": "vllm",
    "_TRANSPORT": "stdout",
}


def test_a_record_is_what_a_record_is():
    assert shipped(CASES["journald-http"], ENTRY) == {
        "@timestamp": "2026-09-21T14:13:20.123456Z",
        "host": "gpu1",
        "source": "journald",
        "unit": "vllm@a.service",
        "program": "vllm",
        "pid": "12",
        "severity": "info",
        "message": "hello",
    }


def test_secrets_are_taken_out():
    bits = [
        "Bearer abcdefgh12",
        '{"prompt": "a \\" b", "x": 1}',
        "api_key=12345678",
        "prompt: 'tell me', x",
        "sk-" + "a" * 20,
    ]
    text = " ".join(["CUDA error", *bits, *bits])
    expected = text
    for redaction in BUILT_IN:
        expected = redaction.apply(expected)
    assert shipped(CASES["all-http"], {**ENTRY, "PRIORITY": "3", "message": text})["message"] == expected
