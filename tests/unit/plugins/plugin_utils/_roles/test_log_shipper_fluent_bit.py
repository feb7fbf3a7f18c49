# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Fluent Bit is told. Its configurations are checked by a table of ours, and never run.

The script of its filter is run where the package ``lupa`` is there, which has LuaJIT; it is none of what tests need.
"""

from __future__ import annotations

import copy
import json
import re

import pytest
import yaml
from ansible_collections.mlops.hosts.plugins.module_utils._component import openpgp
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.log_shipper import pipeline
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.log_shipper.build import build
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.log_shipper.redaction import BUILT_IN
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.log_shipper.shippers.fluent_bit import (
    PORT,
    SCRIPT,
    FluentBit,
    lua,
    lua_pattern,
)
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.platform import ROLES, platform

from tests.unit import shipper_grammar as grammar
from tests.unit import shipper_grammar_fluent_bit as checker

DEBIAN = platform("log_shipper", {"distribution": "Debian", "distribution_release": "trixie", "os_family": "Debian"})
ROW = DEBIAN.known["shippers"]["fluent_bit"]
CASES = grammar.cases(FluentBit.sources, ROW["sinks"], FluentBit.when_full)


def built(**options):
    return build({"state": "present", "provider": "fluent_bit", "python": "/usr/bin/python3", **options}, DEBIAN)


def files(case):
    found = built(**case)
    assert found.problems == ()
    return {file["path"]: file for file in found.component["files"]}


def config(case):
    return files(case)[FluentBit.config]["content"]


@pytest.mark.parametrize("case", CASES)
def test_what_is_built_is_what_it_was_and_the_table_knows_all_of_it(case):
    made = files(CASES[case])
    text = made[FluentBit.config]["content"]
    grammar.golden(grammar.DATA / "fluent_bit" / f"{case}.yaml", text)
    grammar.golden(grammar.DATA / "fluent_bit" / f"{case}.lua", _data(made[SCRIPT]["content"]))
    assert checker.complaints(text) == []
    assert grammar.PASSWORD not in text and grammar.TOKEN not in text


def _data(script):
    """Of the script, what differs."""
    return script.partition("\n\n")[0] + "\n"


def test_no_golden_file_is_left_over():
    assert [grammar.strays("fluent_bit", ext, CASES) for ext in ("yaml", "lua")] == [[], []]


ALL = "all-loki"


def changed(case=ALL, **places):
    """``section``: what becomes of it."""
    found = yaml.safe_load(config(CASES[case]))
    for place, change in places.items():
        change(found[place])
    return yaml.safe_dump(found)


MUTANTS = {
    "an-unknown-key-of-service": (
        {"service": lambda service: service.update(http_listn="127.0.0.1")},
        "service: unknown option service.http_listn",
    ),
    "an-unknown-key-of-an-output": (
        {"pipeline": lambda parts: parts["outputs"][0].update(lables="a=$a")},
        "output central: unknown option output.lables",
    ),
    "an-unknown-output": (
        {"pipeline": lambda parts: parts["outputs"][0].update(name="loky")},
        "output central: output.name cannot be 'loky'",
    ),
    "a-listener-for-all": (
        {"service": lambda service: service.pop("http_listen")},
        "service: http_listen is missing",
    ),
    "one-retry": (
        {"pipeline": lambda parts: parts["outputs"][0].pop("retry_limit")},
        "output central: retry_limit is missing",
    ),
    "retries-that-end": (
        {"pipeline": lambda parts: parts["outputs"][0].update(retry_limit=0)},
        "output central: output.retry_limit cannot be '0'",
    ),
    "a-buffer-in-memory": (
        {"pipeline": lambda parts: parts["inputs"][0].update({"storage.type": "memory"})},
        "input central.journal: input.systemd.storage.type cannot be 'memory'",
    ),
    "a-certificate-of-anybody": (
        {"pipeline": lambda parts: parts["outputs"][0].pop("tls.verify_hostname")},
        "output central: tls.verify_hostname is missing",
    ),
    "tls-in-another-word": (
        {"pipeline": lambda parts: parts["outputs"][0].update(tls="enabled")},
        "output central: output.tls cannot be 'enabled'",
    ),
    "a-ca-without-tls": (
        {"pipeline": lambda parts: parts["outputs"][0].pop("tls")},
        "output central: tls is missing",
    ),
    "a-port-that-is-none": (
        {"pipeline": lambda parts: parts["outputs"][0].update(port="abc")},
        "output central: output.port cannot be 'abc'",
    ),
    "a-match-that-hits-nothing": (
        {"pipeline": lambda parts: parts["outputs"][0].update(match="centrl.*")},
        "output output central gets nothing",
    ),
    "an-output-that-takes-all": (
        {"pipeline": lambda parts: parts["outputs"][0].update(match="*")},
        "output central: output.match cannot be '*'",
    ),
    "an-input-for-nobody": (
        {"pipeline": lambda parts: parts["inputs"].append({**parts["inputs"][0], "tag": "nobody.journal"})},
        "input nobody.journal reaches no output",
    ),
    "a-filter-of-nothing": (
        {"pipeline": lambda parts: parts["filters"][0].update(match="x.*")},
        "middle filter 0 gets nothing",
    ),
    "a-tag-twice": (
        {"pipeline": lambda parts: parts["inputs"].append(copy.deepcopy(parts["inputs"][0]))},
        "central.journal is defined twice",
    ),
    "a-variable-that-is-not-set": (
        {"env": lambda variables: variables.pop()},
        "MLOPS_SINK_2_TOKEN is referred to and not defined",
    ),
    "a-script-that-is-not-there": (
        {"pipeline": lambda parts: parts["filters"][0].update(script="/etc/other.lua")},
        "/etc/other.lua is referred to and not defined",
    ),
    "an-output-without-match": (
        {"pipeline": lambda parts: parts["outputs"][0].pop("match")},
        "output central: match is missing",
    ),
    "a-format-that-is-none": (
        {"pipeline": lambda parts: parts["outputs"][0].update(line_format="jsn")},
        "output central: output.loki.line_format cannot be 'jsn'",
    ),
    "no-place-for-a-buffer": (
        {"service": lambda service: service.pop("storage.path")},
        "service: storage.path is missing",
    ),
    "labels-without-a-name": (
        {"pipeline": lambda parts: parts["outputs"][0].update(labels="nojob")},
        "output central: output.loki.labels cannot be 'nojob'",
    ),
    "a-file-source-without-files": (
        {"pipeline": lambda parts: parts["inputs"][1].pop("path")},
        "input central.file.files: path is missing",
    ),
    "a-directory-that-nobody-makes": (
        {"pipeline": lambda parts: parts["outputs"][0].update(name="file")},
        "output central: mkdir is missing",
    ),
    "nothing-at-all": ({"pipeline": lambda parts: parts.clear()}, "there is no input or no output"),
}


@pytest.mark.parametrize(("change", "says"), MUTANTS.values(), ids=list(MUTANTS))
def test_the_checker_objects(change, says):
    assert says in checker.complaints(changed(**change))


# What the program's own check lets through, and what holds against it here: a mutant that the checker objects to, or a
# sentence for what is built in one way only.
LET_THROUGH = {
    "an unknown key in service": "an-unknown-key-of-service",
    "a CA without tls": "a-ca-without-tls",
    "tls in another word than on": "tls-in-another-word",
    "a certificate for another name": "a-certificate-of-anybody",
    "a match that hits nothing": "a-match-that-hits-nothing",
    "an output without match": "an-output-without-match",
    "retry_limit that is not understood, or 0": "retries-that-end",
    "retry_limit that is not there": "one-retry",
    "an unrecognized format": "a-format-that-is-none",
    "a port that is no number": "a-port-that-is-none",
    "a variable that is not set": "a-variable-that-is-not-set",
    "an empty file, no input, no output": "nothing-at-all",
    "an unknown section": "test_a_section_that_is_none_is_said",
    "the same key twice": "YAML is made of data, which have a key once",
    "storage.type filesystem without storage.path": "no-place-for-a-buffer",
    "storage in memory": "a-buffer-in-memory",
    "a parser that is not defined": "there are no parsers",
    "a bad regular expression": "there are none: the script has programs instead, made by byte_patterns.py",
    "Loki labels without a name": "labels-without-a-name",
    "tail without path": "a-file-source-without-files",
    "out_file to a directory that is not there": "a-directory-that-nobody-makes",
    "a file that is not named .yaml": "test_it_is_checked_as_the_file_that_it_will_be_with_all_that_it_names",
    "a CA, certificate or key that is not there": "the role requires the file, or brings it",
    "a directory of DB or storage that is not there": "the role makes it",
    "a port of its HTTP server that is taken": "the unit does not start, and the change goes back",
    "a host that does not resolve": "not held: lines wait until it does",
    "a script without the function that is called": "the unit does not start, and the change goes back",
    "a file of a source that cannot be read": "it is root, with CAP_DAC_OVERRIDE",
    "a token that is not valid": "not held: http and otlp drop what is refused, and count it",
}


def test_all_that_is_let_through_is_held_or_said():
    tests = {name for name in globals() if name.startswith("test_")}
    dangling = [how for how in LET_THROUGH.values() if " " not in how and how not in MUTANTS and how not in tests]
    assert dangling == []


def test_a_section_that_is_none_is_said():
    assert "unknown section pipline" in checker.complaints(config(CASES[ALL]) + "pipline: {}\n")


def case(sink="http", **more):
    found = copy.deepcopy(CASES[f"journald-{sink}"])
    found["sinks"][0].update(more)
    return found


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        pytest.param(
            case(token="a${HOME}b"),
            "Fluent Bit would replace ${ in the password or token of: central; choose another one.",
            id="a-variable-in-a-token",
        ),
        pytest.param(
            case(token="two\nlines"),
            "The password or token must be one line without blanks around it, unlike in: central.",
            id="a-token-of-two-lines",
        ),
        pytest.param(
            case("opensearch", username=None, password=None, token="t"),
            "Fluent Bit sends no token to OpenSearch: give username and password in: central.",
            id="a-token-for-opensearch",
        ),
        pytest.param(
            {**case(), "redact": True, "redact_patterns": ["a(?=b)", "[é-ü]+", "x{1,9999}", "fine"]},
            "These patterns of log_shipper_redact_patterns are too much for Fluent Bit: a(?=b), [é-ü]+, x{1,9999}.",
            id="patterns",
        ),
    ],
)
def test_what_it_alone_cannot_do_is_refused(options, sentence):
    assert built(**options).problems == (sentence,)


@pytest.mark.parametrize("word", ["block", "drop_newest"])
def test_it_only_drops_what_waits_longest(word):
    (problem,) = built(**case(queue={"when_full": word})).problems
    assert f"log_shipper_provider fluent_bit cannot {word}" in problem and "it can drop_oldest" in problem


@pytest.mark.parametrize("kind", ["syslog_tls", "relp_tls", "kafka", "s3"])
def test_sinks_that_it_has_not_right_are_refused(kind):
    problems = built(**grammar.options(["journald"], kind, when_full="drop_oldest")).problems
    assert any(f"fluent_bit has no sinks of type {kind}" in problem for problem in problems)


def test_it_is_checked_as_the_file_that_it_will_be_with_all_that_it_names():
    made = files(CASES[ALL])
    checked = made[FluentBit.config]
    assert checked["validate_as"] == "fluent-bit.yaml"
    assert set(checked["validate_with"]) == {SCRIPT, *(path for path in made if ".token" in path)}
    assert checked["validate"] == ["/opt/fluent-bit/bin/fluent-bit", "--dry-run", "-c", "{staged}"]
    assert {made[path]["mode"] for path in (SCRIPT, FluentBit.config)} == {"0600"}


def test_the_unit_is_asked_on_loopback():
    component = built(**CASES[ALL]).component
    url = f"http://127.0.0.1:{PORT}/api/v2/health"
    assert {"http": url, "unit": pipeline.UNIT, "timeout_s": 20} in component["ready"]
    assert [package["name"] for package in component["packages"]] == ["fluent-bit"]
    assert component["repositories"] == []


def test_its_packages_come_from_its_vendor_or_a_mirror_when_that_is_said():
    found = built(**CASES[ALL], repository_url="https://mirror.example.org/fluentbit/").component["repositories"]
    fingerprint = "C3C0A28534B9293EAF51FABD9F9DDC083888C1CD"
    assert found == [
        {
            "name": "fluent-bit",
            "uris": ["https://mirror.example.org/fluentbit/debian/trixie"],
            "suites": ["trixie"],
            "components": ["main"],
            "key_src": "fluent-bit.asc",
            "fingerprint": fingerprint,
        }
    ]
    key = (ROLES / "log_shipper/files/fluent-bit.asc").read_text()
    assert openpgp.fingerprint(key, "fluent-bit.asc") == fingerprint.lower()


def test_an_address_that_is_none_is_refused():
    assert built(**CASES[ALL], repository_url="deb http://x").problems == (
        "log_shipper_repository_url deb http://x is no address of a repository; give https://HOST[/PATH].",
    )


def test_a_sink_without_a_route_is_left_out():
    options = case()
    options["sinks"].append({**options["sinks"][0], "name": "idle"})
    assert "idle" not in config(options)


@pytest.mark.parametrize(
    ("wildcards", "takes", "leaves"),
    [
        ("vllm@*", "vllm@a.service", "vllm.service"),
        ("gpu?.service", "gpu1.service", "gpu1xservice"),
        ("a-b\\x2d.mount", "a-b\\x2d.mount", "a-b.mount"),
    ],
)
def test_wildcards_are_patterns_of_lua(wildcards, takes, leaves):
    # % takes the meaning from what follows, as a backslash does in Python; all else that is used means the same.
    python = re.sub(r"%(.)", lambda mark: re.escape(mark[1]), lua_pattern(wildcards))
    assert re.search(python, takes) and not re.search(python, leaves)


def test_values_are_written_as_lua_reads_them():
    assert lua({"a": [1, True, 'x"\\\né']}) == '{["a"] = {1, true, "x\\034\\092\\010\\195\\169"}}'


# The script, where LuaJIT is there.


def plain(lupa, value):
    if lupa.lua_type(value) != "table":
        return value.decode() if isinstance(value, bytes) else value
    found = {plain(lupa, name): plain(lupa, item) for name, item in value.items()}
    numbered = list(range(1, len(found) + 1))
    return [found[number] for number in numbered] if set(found) == set(numbered) else found


def shipped(options, tag, entry, encoding="utf-8"):
    """The record, None where the line is dropped."""
    lupa = pytest.importorskip("lupa.luajit21")
    runtime = lupa.LuaRuntime(encoding=None)
    runtime.execute(files(options)[SCRIPT]["content"].encode())
    given = {
        name.encode(): runtime.table_from([one.encode(encoding) for one in value])
        if isinstance(value, list)
        else value.encode(encoding)
        for name, value in entry.items()
    }
    time = runtime.table_from({b"sec": 1790000000, b"nsec": 123456789})
    code, _time, record = runtime.globals()[b"ship"](tag.encode(), time, runtime.table_from(given))
    return plain(lupa, record) if code == 2 else None


ENTRY = {
    "_SYSTEMD_UNIT": "vllm@a.service",
    "PRIORITY": "6",
    "MESSAGE": "hello",
    "_PID": "12",
    "SYSLOG_IDENTIFIER": "vllm",
    "_HOSTNAME": "gpu1",
    "_TRANSPORT": "stdout",
}
MODEL = {**ENTRY, "_SYSTEMD_UNIT": "mlops-model-llama.service"}
EVENT = {
    **ENTRY,
    "_SYSTEMD_UNIT": "mlops-gpu-events.service",
    "MLOPS_GPU_EVENT": "1",
    "GPU_UUID": "GPU-1",
    "XID": "79",
}
RECORD = {
    "host": "gpu1",
    "source": "journald",
    "unit": "vllm@a.service",
    "program": "vllm",
    "pid": "12",
    "severity": "info",
    "message": "hello",
}


@pytest.mark.parametrize(
    ("sink", "record"),
    [
        ("http", {**RECORD, "@timestamp": "2026-09-21T14:13:20.123456Z"}),
        ("opensearch", RECORD),
        ("otlp", {**RECORD, "severity_number": 9}),
        ("loki", {name: RECORD[name] for name in ("host", "source", "unit", "severity", "message")}),
    ],
)
def test_a_record_is_what_its_sink_takes(sink, record):
    assert shipped(CASES[f"journald-{sink}"], "central.journal", ENTRY) == record


@pytest.mark.parametrize(
    ("entry", "more"),
    [
        pytest.param({**ENTRY, "_SYSTEMD_UNIT": "sshd.service"}, None, id="another-unit"),
        pytest.param({**ENTRY, "PRIORITY": "7"}, None, id="not-important-enough"),
        pytest.param({**ENTRY, "PRIORITY": "x"}, {"severity": "info"}, id="no-priority"),
        pytest.param(
            {**ENTRY, "_SYSTEMD_UNIT": "init.scope", "_PID": "1", "UNIT": "ray.service"},
            {"unit": "ray.service", "pid": "1"},
            id="what-systemd-says",
        ),
        pytest.param({**ENTRY, "_SYSTEMD_UNIT": "x.service", "UNIT": "ray.service"}, None, id="what-others-pretend"),
        pytest.param({**ENTRY, "MESSAGE": ["a", "b"]}, {"message": "a"}, id="a-field-twice"),
    ],
)
def test_lines_of_units(entry, more):
    record = shipped(CASES["journald-http"], "central.journal", entry)
    assert record is None if more is None else {name: record[name] for name in more} == more


def test_the_kernel_containers_and_files():
    kernel = {"_TRANSPORT": "kernel", "PRIORITY": "2", "MESSAGE": "NVRM: x"}
    assert shipped(CASES["kernel-http"], "central.journal", kernel)["severity"] == "crit"
    assert shipped(CASES["kernel-http"], "central.journal", {**kernel, "_TRANSPORT": "syslog"}) is None
    container = {**ENTRY, "CONTAINER_NAME": "vllm-1"}
    assert shipped(CASES["containers-http"], "central.journal", container)["container"] == "vllm-1"
    record = shipped(CASES["files-http"], "central.file.files", {"log": '{"level": "warn"}'})
    assert (record["source"], record["fields"]) == ("files", {"level": "warn"})


def test_events_of_gpus():
    record = shipped(CASES["gpu_events-http"], "central.journal", EVENT)
    assert record["fields"] == {"gpu_uuid": "GPU-1", "xid": "79"}
    assert shipped(CASES["gpu_events-loki"], "central.journal", EVENT)["gpu_uuid"] == "GPU-1"
    assert shipped(CASES["gpu_events-http"], "central.journal", {**EVENT, "_SYSTEMD_UNIT": "x.service"}) is None


def test_routes_filter_and_label():
    error = {**ENTRY, "PRIORITY": "3", "MESSAGE": "CUDA error: no memory"}
    labels = {"label_site": "eu 1", "label_team": "ml-1"}
    record = shipped(CASES["all-loki"], "central.journal", error)
    assert {name: record[name] for name in labels} == labels
    assert shipped(CASES["all-http"], "central.journal", error)["labels"] == {"site": "eu 1", "team": "ml-1"}
    for other in ({"PRIORITY": "4"}, {"MESSAGE": "CUDA"}, {"MESSAGE": "CUDA error in health check"}):
        assert shipped(CASES["all-http"], "central.journal", {**error, **other}) is None
    assert shipped(CASES["all-http"], "second.journal", {**error, "MESSAGE": "GET /health"}) is None


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        (
            '{"a": [1, 2.5, null, "x\\u00e9\\ud83d\\ude00"], "b": {}, "c": [], "d": null}',
            {"a": [1, 2.5, "x\u00e9\U0001f600"]},
        ),
        ('{"n": 12345678901234567890, "t": true, "f": false}', {"n": "12345678901234567890", "t": True, "f": False}),
        ('  {"d": {"e": -1e3, "s": "a\\"b\\\\"}}  ', {"d": {"e": -1000, "s": 'a"b\\'}}),
        ("{" * 100, None),
        ('{"a": {"b": ' * 40 + "1" + "}}" * 40, None),
        ('{"a": 1} and more', None),
        ('{"a": 1', None),
        ('{"a": "b\n"}', None),
        ("{'a': 1}", None),
        ("[1]", None),
        ("{}", None),
        ("plain", None),
    ],
)
def test_json_lines_become_fields(text, fields):
    record = shipped(CASES["model_servers-http"], "central.journal", {**MODEL, "MESSAGE": text})
    assert record.get("fields") == fields
    assert record["message"] == text


def test_secrets_are_taken_out_of_messages_and_fields():
    text = '{"prompt": "tell me", "auth": "Bearer abcdefgh12", "more": "sk-%s"}' % ("a" * 20)
    expected = text
    for redaction in BUILT_IN:
        expected = redaction.apply(expected)
    record = shipped(CASES["all-http"], "second.journal", {**MODEL, "MESSAGE": text})
    assert (record["message"], record["fields"]) == (expected, json.loads(expected))


def test_a_long_line_is_read_in_time():
    text = '{"prompt": "' + "a b \\n" * 20000 + '"} customer-1'
    record = shipped(CASES["all-http"], "second.journal", {**MODEL, "MESSAGE": text})
    assert record["message"] == '{"prompt": "[redacted]"} [redacted]'


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "\xe9 \u20ac \U0001f600"),
        (b"a\xffb\xc3", "a\ufffdb\ufffd"),
        (b"\xe2\x82x\x80", "\ufffd\ufffdx\ufffd"),
        (b'"prompt": "a\xffb"', '"prompt": "[redacted]"'),
    ],
)
def test_what_is_no_utf8_is_marked(data, text):
    entry = {**MODEL, "MESSAGE": data.decode("latin-1")}
    record = shipped(CASES["all-http"], "second.journal", entry, encoding="latin-1")
    assert record["message"] == text


def test_what_it_cannot_read_is_dropped():
    assert shipped(CASES["all-http"], "nobody.journal", MODEL) is None
