# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import pathlib
import re

import jinja2
import pytest
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.log_shipper import pipeline
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.log_shipper.build import build
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.log_shipper.redaction import BUILT_IN, Redaction
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.log_shipper.shippers import syslog_ng
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.log_shipper.shippers.syslog_ng import SyslogNg
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.platform import platform

TEMPLATES = pathlib.Path(__file__).parents[5] / "roles/log_shipper/templates"
DEBIAN = platform("log_shipper", {"distribution": "Debian", "distribution_release": "trixie", "os_family": "Debian"})
ON_HOST = {"ca": "/etc/ssl/ca.pem", "cert": "/etc/ssl/host.pem", "private_key": "/etc/ssl/host.key"}
SOURCES = [
    {"name": "models", "type": "journald", "units": ["mlops-*"], "json": True, "labels": {"model": "llama 3.1"}},
    {"name": "faults", "type": "gpu_events"},
    {"name": "app", "type": "files", "paths": ["/var/log/app/*.log"]},
]
SINKS = {
    "syslog": {"type": "syslog_tls", "host": "loghost", **ON_HOST},
    "loki": {"type": "loki", "url": "https://loki", "tenant": "ml", "username": "me", "password": "a"},
    "search": {"type": "opensearch", "url": "https://search:9200/proxy", "token": "b"},
    "lines": {"type": "http", "url": "https://lines/in"},
    "local": {"type": "file", "path": "/srv/all.json"},
}
RECEIVER = {"name": "central", "type": "syslog_tls", "permitted_peers": ["sender"], **ON_HOST}


def sinks(*names, **more):
    return [{"name": name, **SINKS[name], **more} for name in names or SINKS]


def route(name="all", sources=("models", "faults", "app"), to=tuple(SINKS), **more):
    return {"name": name, "from": list(sources), "to": list(to), **more}


def built(**options):
    return build({"state": "present", "python": "/usr/bin/python3", "provider": "syslog_ng", **options}, DEBIAN)


def component(**options):
    found = built(**{"sources": SOURCES, "sinks": sinks(), "routes": [route()], **options})
    assert found.problems == ()
    return found.component


def config(**options):
    (one,) = [item for item in component(**options)["files"] if item["path"] == SyslogNg.config]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), trim_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["comment"] = "# {}".format
    return environment.get_template(one["template"]).render(ansible_managed="", **one["template_vars"])


def test_every_name_of_the_configuration_is_defined_and_used():
    text = config(receivers=[RECEIVER])
    made = re.findall(r"(?m)^destination (\S+) [{]", text)
    assert sorted(made) == sorted(re.findall(r"destination\((\S+)\)", text)) == sorted(f"mlops_sink_{n}" for n in SINKS)
    set_somewhere = set(re.findall(r'set-tag\("(\w+)"', text)) | set(re.findall(r'\btags\("(\w+)"\)\);', text))
    asked = {tag for tags in re.findall(r"tags\(([^)]*)\)", text) for tag in re.findall(r'"(\w+)"', tags)}
    assert asked <= set_somewhere | {"mlops_journal"}
    assert "filter(" not in text
    assert "source(" not in text


def test_a_buffer_is_found_again_whatever_becomes_of_its_address():
    here = config(sinks=sinks("syslog"), routes=[route(to=["syslog"])])
    there = config(sinks=sinks("syslog", host="other", port=1), routes=[route(to=["syslog"])])
    assert [a for a, b in zip(here.splitlines(), there.splitlines(), strict=True) if a != b] == [
        '  syslog("loghost" port(6514) transport("tls") so-keepalive(yes) tcp-keepalive-time(60)'
    ]
    names = re.findall(r'persist-name\("(\S+)"\)', config(receivers=[RECEIVER]))
    assert len(names) == len(set(names)) == 2 * len(SINKS) + 1


@pytest.mark.parametrize(("when_full", "waits"), [("block", 1), ("drop_newest", 0)])
def test_reading_stops_only_where_a_full_buffer_blocks(when_full, waits):
    text = config(sinks=sinks("lines", queue={"when_full": when_full}), routes=[route(to=["lines"])])
    assert text.count("flags(flow-control)") == waits


@pytest.mark.parametrize(
    ("queue", "disk", "memory"),
    [
        ({}, 1024 * 2**20, 2000 * 2**10),
        ({"disk_max_mib": 1}, 2**20, 2**18),
        ({"memory_max_records": 1}, 1024 * 2**20, 2**16),
    ],
)
def test_what_a_buffer_holds_in_memory_leaves_room_on_disk(queue, disk, memory):
    text = config(sinks=sinks("lines", queue={**queue, "when_full": "drop_newest"}), routes=[route(to=["lines"])])
    assert f"disk-buffer(reliable(yes) compaction(yes) disk-buf-size({disk}) mem-buf-size({memory})" in text


@pytest.mark.parametrize(
    ("lines", "window", "batch"), [(None, 2000, 500), (10000, 10000, 500), (200, 200, 200), (1, 100, 1)]
)
def test_lines_that_block_wait_where_they_were_read(lines, window, batch):
    text = config(sinks=sinks("lines", queue={"memory_max_records": lines}), routes=[route(to=["lines"])])
    assert "disk-buffer" not in text
    # A batch that the window has no room for would wait for its timeout, and a file has a hundredth of it.
    assert re.findall(r"log-iw-size\((\d+)\)", text) == [str(window), str(window * 100)]
    assert f"batch-lines({batch})" in text


@pytest.mark.parametrize(("when_full", "unset"), [("block", 0), ("drop_newest", 1)])
def test_fields_of_the_journal_are_taken_out_of_what_lies_on_disk(when_full, unset):
    text = config(sinks=sinks("lines", queue={"when_full": when_full}), routes=[route(to=["lines"])])
    assert text.count('groupunset(values(".journald.*"))') == unset


@pytest.mark.parametrize(
    ("names", "packages"),
    [
        (["syslog"], ["syslog-ng-core"]),
        (["local"], ["syslog-ng-core"]),
        (["syslog", "loki"], ["syslog-ng-core", "syslog-ng-mod-http"]),
    ],
)
def test_packages_are_those_that_are_needed(names, packages):
    found = component(sinks=sinks(*names), routes=[])["packages"]
    assert [item["name"] for item in found] == packages


def test_a_secret_is_in_a_file_of_its_own_and_nowhere_else():
    options = {"sinks": [*sinks("loki", password='p"$\\`'), *sinks("search", token="to.ken")], "routes": []}
    files = {item["path"]: item for item in component(**options)["files"]}
    login, token = (files[f"/etc/mlops-log-shipper/sink-{name}.auth.conf"] for name in ("loki", "search"))
    assert login["content"] == 'user("me")\npassword("p\\"$\\\\``")\n'
    assert token["content"] == 'headers("Content-Type: application/x-ndjson", "Authorization: Bearer to.ken")\n'
    assert [(item["mode"], item["secret"]) for item in (login, token)] == [("0600", True)] * 2
    assert login["path"] in files[SyslogNg.config]["validate_with"]
    assert "to.ken" not in str(files[SyslogNg.config])


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (
            {"sinks": sinks("syslog", permitted_peers=["x"])},
            "log_shipper_provider syslog_ng takes the certificate of a sink only if it names its host: leave out "
            "permitted_peers of syslog, or set host to that name.",
        ),
        (
            {"receivers": [{**RECEIVER, "permitted_peers": ["*.example.org", "a"]}]},
            "log_shipper_provider syslog_ng compares whole names: list what *.example.org of permitted_peers stands "
            "for.",
        ),
        (
            {"sinks": [{**sinks("syslog")[0], "type": "relp_tls"}]},
            "log_shipper_provider syslog_ng has no sinks of type relp_tls on this host, which these are: syslog; "
            "rsyslog can.",
        ),
        (
            {"sinks": sinks("lines", queue={"when_full": "drop_oldest"})},
            "log_shipper_provider syslog_ng cannot drop_oldest when a buffer is full, as these sinks want: lines; "
            "it can block, drop_newest, and fluent_bit can.",
        ),
    ],
)
def test_what_it_cannot_do_is_refused(more, sentence):
    assert built(**more).problems == (sentence,)


def test_a_sink_may_be_given_its_own_name():
    assert built(sinks=sinks("syslog", permitted_peers=["loghost"])).problems == ()


@pytest.mark.parametrize(
    ("subject", "taken"),
    [
        ("CN=sender", True),
        ("CN=sender, O=Example, C=DE", True),
        ("CN=sender.example.org", False),
        ("CN=evil, O=Example\\, CN=sender", False),
        ("O=x, CN=sender", False),
    ],
)
def test_no_other_part_of_a_subject_stands_for_the_name(subject, taken):
    patterns = [json.loads(pattern) for pattern in syslog_ng.subjects("sender")]
    # The patterns of GLib have no other marks.
    found = [re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), subject) for pattern in patterns]
    assert any(found) is taken


def as_python(redaction):
    """The same expression where there is no ``\\K``: what it keeps is the first group."""
    before, _, rest = json.loads(syslog_ng._redaction(redaction)["pattern"]).partition("\\K")
    return re.compile(f"(?P<kept>{before}){rest}")


@pytest.mark.parametrize("redaction", [*BUILT_IN, Redaction("x(y|z)")], ids=lambda one: one.pattern[:20])
@pytest.mark.parametrize(
    "line",
    [
        "Authorization: Bearer abcdefgh12, bearer  ijklmnop34",
        'api_key="abcdefgh" apikey=12345678 hf_0123456789abcdef0 sk-0123456789abcdef0',
        json.dumps({"prompt": 'say "x" \\ and\n', "n": 1, "content": "", "text": "x" * 40000}),
        "prompt: 'tell me', params: x xy xz",
        "nothing of the kind",
    ],
)
def test_the_same_is_redacted_as_everywhere(redaction, line):
    found = as_python(redaction).sub(lambda match: match["kept"] + "[redacted]", line)
    assert found == redaction.apply(line)


def test_no_expression_of_ours_fails_on_a_long_text():
    for redaction in BUILT_IN:
        assert not re.search(r"[)][+*](?![+])", json.loads(syslog_ng._redaction(redaction)["pattern"]))


def condition(**given):
    (source,) = pipeline.parse({"sources": [{"name": "a", **given}]}).sources
    return syslog_ng.condition(source).removeprefix('tags("mlops_journal") and ')


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (
            {"type": "journald", "units": ["vllm", "gpu?.service"]},
            'match("^(vllm[.]service|gpu.[.]service)$" value(".mlops.unit") type("pcre"))',
        ),
        ({"type": "kernel"}, '"${.journald._TRANSPORT}" eq "kernel"'),
        (
            {"type": "kernel", "priority": "err"},
            '"${.journald._TRANSPORT}" eq "kernel" and (level(err..emerg) or tags("mlops_test"))',
        ),
        (
            {"type": "containers", "containers": ["web*"]},
            'match("^(web.*)$" value(".mlops.container") type("pcre"))',
        ),
        # What has no name is none of all that have one.
        (
            {"type": "containers", "containers": ["*"]},
            '("${.mlops.container}" ne "" and match("^(.*)$" value(".mlops.container") type("pcre")))',
        ),
        (
            {"type": "gpu_events"},
            'match("^(mlops-gpu-events[.]service)$" value(".mlops.unit") type("pcre")) and ('
            '"${.journald.MLOPS_GPU_EVENT}" eq "1" or tags("mlops_test"))',
        ),
    ],
)
def test_a_source_is_what_journald_vouches_for(given, found):
    assert condition(**given) == found


def test_lines_of_files_are_of_no_source_of_the_journal():
    text = config()
    assert 'set-tag("mlops_s1" condition(tags("mlops_journal") and match(' in text
    text = config(sources=SOURCES[:2], routes=[route(sources=["models", "faults"])])
    assert 'set-tag("mlops_s1" condition(match(' in text


def test_a_line_of_text_passes_no_if():
    """Each of them has the line copied."""
    one = {"sources": SOURCES[:1], "sinks": sinks("syslog"), "routes": [route(sources=["models"], to=["syslog"])]}
    assert "if {" not in config(**one)
    two = {**one, "sources": SOURCES[:2], "routes": [route(sources=["models", "faults"], to=["syslog"])]}
    assert re.findall(r"(?m)^ +((?:el)?if) [{]", config(**two)) == ["if", "if", "elif"]


def test_an_expression_without_hints_is_tried_on_each_line():
    text = config(redact_patterns=["badge-[0-9]+"])
    tried = re.findall(r'(?m)" "\[redacted\]" .*flags[(]"global"[)](.*)[)];$', text)
    assert tried == [' condition(tags("mlops_hinted"))'] * len(BUILT_IN) + [""]


def test_a_test_line_passes_each_filter_of_its_route():
    text = config(routes=[route(to=["lines"], priority="err", contains=["abc"], excludes=["x"])])
    assert (
        'condition(tags("mlops_s1") and (((level(err..emerg) or tags("mlops_test")) and (message("abc" type("string") '
        'flags("substring")) or tags("mlops_test")) and not message("x" type("string") flags("substring")))))'
    ) in text


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("loki", "https://loki:443/loki/api/v1/push"),
        ("search", "https://search:9200/proxy/_bulk"),
        ("lines", "https://lines:443/in"),
    ],
)
def test_a_path_is_that_of_the_protocol(name, url):
    assert f'http(url("{url}")' in config(sinks=sinks(name), routes=[route(to=[name])])


def test_without_the_journal_nothing_of_it_is_read():
    options = {"sources": SOURCES[2:], "sinks": sinks("lines"), "routes": [route(sources=["app"], to=["lines"])]}
    text = config(**options)
    assert "systemd-journal(" not in text
    assert syslog_ng.BEGIN not in [item["path"] for item in component(**options)["files"]]


@pytest.mark.parametrize(("kind", "cut"), [({"type": "containers", "containers": ["a"]}, 1), ({"type": "kernel"}, 0)])
def test_a_line_of_podman_loses_its_line_feed(kind, cut):
    text = config(
        sources=[{"name": "one", **kind}], sinks=sinks("lines"), routes=[route(sources=["one"], to=["lines"])]
    )
    assert text.count(r'subst("[\\r\\n]+$" "" value("MESSAGE")') == cut


@pytest.mark.parametrize(("sink", "parsed"), [("syslog", 0), ("loki", 0), ("search", 1), ("lines", 1), ("local", 1)])
def test_json_is_parsed_only_for_sinks_with_fields(sink, parsed):
    assert config(sinks=sinks(sink), routes=[route(to=[sink])]).count("json-parser(") == parsed


def test_expressions_are_tried_where_a_secret_can_be():
    hinted = syslog_ng._hinted(BUILT_IN)
    assert hinted.startswith('message("bearer" type("string") flags("substring" "ignore-case")) or ')
    # Names of JSON are looked for where one of their ends is.
    assert ' or (message("\\"" type("string") flags("substring")) and ((message("t\\"" type("string") ' in hinted
    for redaction in BUILT_IN:
        for hint in redaction.hints:
            assert f'message({json.dumps(hint)} type("string") flags("substring"' in hinted
    assert syslog_ng._hinted([Redaction("badge-[0-9]+")]) == ""
