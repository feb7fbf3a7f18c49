# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the options become, whichever program ships."""

from __future__ import annotations

import json
import pathlib
import re

import pytest
import yaml
from ansible_collections.mlops.hosts.plugins.module_utils._log_shipper import plan
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.log_shipper import build as builder
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.log_shipper import pipeline
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.log_shipper.build import build, facts
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.log_shipper.shippers import SHIPPERS
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.log_shipper.shippers.base import Service
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.log_shipper.shippers.rsyslog import Rsyslog
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.platform import Platform
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.variables import specification
from ansible_collections.mlops.hosts.tests.unit.shipper_options import (
    CA,
    CERT,
    DEBIAN,
    KEY,
    ON_HOST,
    PRIVATE_KEY,
    PYTHON,
    RIVALS,
    ROLE,
    TEXTS,
    built,
    file,
    made,
    planned,
    receiver,
    required,
    route,
    shown,
    sink,
    source,
)


def test_defaults_are_those_of_the_argument_specs():
    specs = specification("log_shipper")
    for options, defaults in (
        (specs["log_shipper_sinks"]["options"], pipeline.SINK),
        (specs["log_shipper_sinks"]["options"]["queue"]["options"], pipeline.QUEUE),
        (specs["log_shipper_receivers"]["options"], pipeline.RECEIVER),
    ):
        given = {name: option["default"] for name, option in options.items() if "default" in option}
        assert {name: value for name, value in given.items() if name != "state"} == defaults


def test_what_is_absent_is_as_good_as_not_there():
    gone = {"state": "absent"}
    lists = {"sources": [source()], "sinks": [sink()], "routes": [route()], "receivers": [receiver()]}
    more = {
        "sources": [*lists["sources"], {"name": "x", "type": "journald", **gone}],
        "sinks": [*lists["sinks"], {"name": "x", "type": "syslog_tls", "host": "a b", **gone}],
        "routes": [*lists["routes"], route("x", ["nobody"], ["nowhere"], **gone)],
        "receivers": [*lists["receivers"], {"name": "x", "type": "syslog_tls", **gone}],
    }
    found, same = built(**more), built(**lists)
    assert (found.component, found.question, found.verify) == (same.component, same.question, same.verify)
    assert found.component


@pytest.mark.parametrize(
    ("unit", "takes", "leaves"),
    [
        pytest.param("vllm", "vllm.service", "vllm.socket", id="a-bare-name-is-a-service"),
        pytest.param("vllm.socket", "vllm.socket", "vllmXsocket", id="a-dot-is-a-dot"),
        pytest.param("vllm@*", "vllm@a.service", "vllm.service", id="a-star-is-anything"),
        pytest.param("gpu?.service", "gpu1.service", "gpu12.service", id="a-question-mark-is-one-character"),
        pytest.param("gpu?", "gpu1.service", "gpu1.socket", id="a-question-mark-may-be-in-a-bare-name"),
        pytest.param("*", "any.mount", "", id="a-star-alone-is-every-unit"),
        pytest.param("a\\x2db.mount", "a\\x2db.mount", "a-b.mount", id="a-backslash-is-a-backslash"),
    ],
)
def test_a_unit_is_a_regular_expression(unit, takes, leaves):
    # POSIX needs no escape for a backslash in brackets, and two are the same as one; Python needs them.
    pattern = pipeline.unit_pattern(unit)
    assert re.fullmatch(pattern, takes)
    assert not leaves or not re.fullmatch(pattern, leaves)


@pytest.mark.parametrize(
    ("routes", "sources"),
    [
        pytest.param([], [], id="without-a-route-no-line"),
        pytest.param([route()], ["models"], id="units"),
        pytest.param([route(sources=["kernel", "models"])], ["models", "kernel"], id="in-the-order-of-sources"),
        pytest.param([route(), route("again")], ["models"], id="two-routes-are-one"),
        pytest.param([route(), route("more", ["kernel"], state="absent")], ["models"], id="an-absent-route-is-none"),
        pytest.param([route(sinks=["plain"])], [], id="a-route-to-another-sink"),
    ],
)
def test_routes_lead_sources_to_a_sink(routes, sources):
    given = [source(units=["mlops-*", "vllm"]), {"name": "kernel", "type": "kernel"}]
    sinks = shown("sinks", sources=given, sinks=[sink(), sink("plain")], routes=routes)
    assert [flow["source"] for flow in sinks[0]["flows"]] == sources


def test_a_key_is_in_one_secret_file_and_nowhere_else():
    lists = {"receivers": [receiver(**TEXTS, private_key_content=KEY)]}
    found = built(**lists)
    files = {item["path"]: item for item in found.component["files"]}
    key_file = files["/etc/mlops-log-shipper/receiver-central.key.pem"]
    assert (key_file.pop("content"), key_file["mode"], key_file["secret"]) == (KEY, "0600", True)
    assert files["/etc/mlops-log-shipper/receiver-central.ca.pem"] == {
        "path": "/etc/mlops-log-shipper/receiver-central.ca.pem",
        "content": "CA",
        "mode": "0644",
    }
    assert "c2VjcmV0" not in repr(found)
    assert "c2VjcmV0" not in repr(pipeline.parse(lists))
    assert required(found.component) == {"path": [PYTHON], "port": [6514], "empty": RIVALS}


def test_what_lies_on_the_host_is_required_once():
    component = made(sinks=[sink("a", **ON_HOST), sink("b")], receivers=[receiver(port=7)])
    assert required(component) == {"path": [PYTHON, CA, CERT, PRIVATE_KEY], "port": [7], "empty": RIVALS}
    assert [item["path"] for item in component["files"] if not item["path"].startswith("/usr/local/")] == [
        builder.PLAN,
        pipeline.UNIT_FILE,
        Rsyslog.config,
        builder.LOGROTATE,
    ]


@pytest.mark.parametrize(
    ("address", "tcp"),
    [
        ("0.0.0.0", "127.0.0.1:6514"),
        ("::", "[::1]:6514"),
        ("fe80::1", "[fe80::1]:6514"),
        ("10.0.0.5", "10.0.0.5:6514"),
    ],
)
def test_a_receiver_is_waited_for_where_it_listens(address, tcp):
    component = made(receivers=[receiver(address=address)])
    assert component["ready"] == [
        {"unit": pipeline.UNIT, "command": ["/usr/sbin/rsyslogd", "-N1", "-f", Rsyslog.config], "timeout_s": 10},
        {"unit": pipeline.UNIT, "tcp": tcp, "timeout_s": 20},
        {"unit": pipeline.UNIT, "command": ["/usr/local/sbin/mlops-log-shipper", "ready"], "timeout_s": 1},
    ]
    assert [unit["name"] for unit in component["units"]] == [pipeline.UNIT, "logrotate.timer"]


def test_where_a_site_says_nothing_of_logs_no_shipper_comes_to_any_host():
    nothing = {"state": "present", "provider": "rsyslog", "sources": [], "sinks": [], "routes": [], "receivers": []}
    found = build(nothing, Platform(distribution="Ubuntu", distribution_release="noble"))
    assert (found.component, found.problems) == ({"name": "log_shipper", "state": "absent"}, ())
    assert facts(nothing) == ()


@pytest.mark.parametrize("lists", [{"sources": [source()]}, {"sinks": [sink(state="absent")]}])
def test_with_nothing_to_ship_or_receive_nothing_runs(lists):
    component = made(**lists)
    assert (component["files"], component["units"], component["ready"]) == ([], [], [])
    assert built(**lists).verify is None


def lines_to_test(routes, units=("mlops-*",)):
    sources = [source(units=list(units)), {"name": "kernel", "type": "kernel"}]
    return planned(sources=sources, sinks=[sink(), sink("plain")], routes=routes)


@pytest.mark.parametrize(
    ("routes", "lines", "arrivals"),
    [
        pytest.param([], [], [], id="nothing-is-routed"),
        pytest.param([route()], ["models"], ["models central"], id="one-route"),
        pytest.param([route(), route("again")], ["models"], ["models central"], id="two-routes-are-one"),
        pytest.param(
            [route(sources=["models", "kernel"], sinks=["plain", "central"])],
            ["models", "kernel"],
            ["models central", "kernel central", "models plain", "kernel plain"],
            id="each-source-at-each-sink",
        ),
    ],
)
def test_each_source_that_a_route_takes_is_tested_at_each_of_its_sinks(routes, lines, arrivals):
    found = lines_to_test(routes)
    assert [line["source"] for line in found["lines"]] == lines
    assert found["arrivals"] == arrivals


@pytest.mark.parametrize("unit", ["vllm", "vllm.socket", "vllm@*", "gpu?", "gpu?.service", "*", "a\\x2db.mount"])
def test_a_test_line_comes_from_a_unit_that_the_source_takes(unit):
    (line,) = lines_to_test([route()], [unit, "other"])["lines"]
    assert re.fullmatch(pipeline.unit_pattern(unit), line["unit"])
    assert "*" not in line["unit"]
    assert "?" not in line["unit"]


def test_the_kernel_is_tested_by_what_a_line_of_it_has():
    assert lines_to_test([route(sources=["kernel"])])["lines"] == [
        {"source": "kernel", "transport": "kernel", "unit": "", "container": ""}
    ]


def test_the_directory_before_the_first_placeholder_is_made():
    paths = ["/var/log/mlops/{host}/{program}.log", "/srv/logs/a-{host}.log"]
    component = made(receivers=[receiver("a", path=paths[0]), receiver("b", port=1, path=paths[1], group="logs")])
    assert [item for item in component["directories"] if not item["path"].startswith("/usr/local/")] == [
        {"path": "/etc/mlops-log-shipper", "mode": "0700", "purge": True, "on_change": "none"},
        {"path": "/var/spool/mlops-log-shipper", "mode": "0700"},
        {"path": "/var/log/mlops", "mode": "0750", "group": "adm"},
        {"path": "/srv/logs", "mode": "0750", "group": "logs"},
    ]


def test_files_are_kept_as_long_as_any_receiver_of_the_path_wants():
    receivers = [
        receiver("a", keep_days=3),
        receiver("b", port=1, keep_days="9"),
        receiver("c", port=2, path="/s/l/{host}"),
    ]
    kept = file(made(receivers=receivers), builder.LOGROTATE)["template_vars"]["__log_shipper_kept"]
    assert kept == [{"files": "/s/l/*", "days": 30}, {"files": "/var/log/mlops/*/*.log", "days": 9}]


@pytest.mark.parametrize(
    ("ca", "purged"),
    [
        pytest.param("/etc/ssl/ca.pem", True, id="kept-elsewhere"),
        pytest.param("/etc/mlops-log-shipper/ca.pem", False, id="the-user-keeps-one-there"),
    ],
)
def test_only_a_directory_that_holds_nothing_of_the_user_is_purged(ca, purged):
    assert made(sinks=[sink(ca=ca)])["directories"][0]["purge"] is purged


def test_absent_needs_no_platform():
    absent = {"state": "absent", "provider": "rsyslog", "verify": "always"}
    assert facts(absent) == ()
    found = build(absent, Platform())
    assert (found.component, found.verify) == ({"name": "log_shipper", "state": "absent"}, None)
    for changed in (False, True):
        assert found.rest(changed, False) == {
            "leftovers": ["/var/spool/mlops-log-shipper", "/run/mlops-log-shipper", "/var/lib/mlops-log-shipper"]
        }
    assert made() and built().rest(True, False) is None


def test_a_host_that_is_right_can_be_tested_again():
    assert built(sources=[source()], sinks=[sink()], routes=[route()]).verify == {
        "command": ["/usr/local/sbin/mlops-log-shipper", "ready"]
    }


def test_the_host_knows_of_the_pipeline_what_it_needs_and_no_key():
    sinks = [sink(**TEXTS, private_key_content=KEY, queue={"memory_max_records": 50}), sink("plain")]
    routes = [route(priority="err", contains=["x"], excludes=["y"])]
    found = planned(sources=[source(priority="info")], sinks=sinks, routes=routes)
    assert "c2VjcmV0" not in repr(found)
    assert found["sinks"] == [
        {
            "name": "central",
            "memory": 50,
            "flows": [
                {
                    "transport": "",
                    "unit": "mlops-.*",
                    "container": "",
                    "severity": 6,
                    "events": False,
                    "ways": [{"severity": 3, "contains": ["x"], "excludes": ["y"]}],
                }
            ],
            "buffer": "",
        },
        {"name": "plain", "memory": 2000, "flows": [], "buffer": ""},
    ]
    assert found["certificates"][0]["key"] == "/etc/mlops-log-shipper/sink-central.key.pem"
    assert (found["certificates"][0]["host"], found["certificates"][0]["port"]) == ("loghost", 6514)
    assert plan.read(json.dumps(found), "plan.json").sinks[0].memory == 50


def test_each_shipper_is_a_provider_with_a_row_of_vars():
    assert set(SHIPPERS) == set(specification("log_shipper")["log_shipper_provider"]["choices"])
    known = yaml.safe_load((ROLE / "vars/Debian.yml").read_text())["__log_shipper_shippers"]
    assert set(known) == set(SHIPPERS)
    types = {
        choice
        for end in ("sinks", "receivers")
        for choice in specification("log_shipper")[f"log_shipper_{end}"]["options"]["type"]["choices"]
    }
    sinks = {kind for row in known.values() for kind in row["sinks"]}
    assert sinks | set().union(*(shipper.receivers for shipper in SHIPPERS.values())) <= types
    for row in known.values():
        assert {release for releases in row["sinks"].values() for release in releases} <= set(row["releases"])


class Other:
    """A shipper with nothing of rsyslog."""

    name, complaints, reopen, receipts, numbers, counts = "other", "panic", "USR1", True, False, False
    sources, receivers, when_full, least_mib = frozenset({"journald"}), frozenset({"syslog_tls"}), ("drop_oldest",), 64
    config = "/etc/mlops-log-shipper/other.toml"

    def __init__(self, known):
        self.known = known

    @staticmethod
    def refuses(pipeline):
        return [f"{source.name} is odd." for source in pipeline.sources if source.name == "odd"]

    def repositories(self):
        return [{"name": "other"}]

    def packages(self, _pipeline):
        return self.known["packages"]

    def modules(self, _pipeline):
        return {}

    def state(self):
        return ""

    def service(self, _pipeline):
        return Service(command="/usr/bin/other")

    def ready(self, _pipeline):
        return [{"http": "http://127.0.0.1:1/ready"}]

    def files(self, pipeline):
        return [{"path": self.config, "content": " ".join(sink.host for sink in pipeline.sinks)}]

    def validate(self, path):
        return ["/usr/bin/other", "validate", path]


OTHER = Platform(
    distribution_release="bookworm",
    known={
        "platform": DEBIAN.known["platform"],
        "shippers": {
            "other": {
                "releases": ["bookworm"],
                "packages": ["other"],
                "rivals": [],
                "sinks": {"syslog_tls": ["bookworm"]},
            },
            "rsyslog": DEBIAN.known["shippers"]["rsyslog"],
        },
    },
)


def test_another_shipper_needs_nothing_of_the_first(monkeypatch):
    monkeypatch.setitem(SHIPPERS, "other", Other)
    plain = {
        "sinks": [sink(type="syslog_tls", queue={"when_full": "drop_oldest"})],
        "receivers": [receiver(type="syslog_tls")],
    }
    found = built(OTHER, provider="other", **plain)
    # Besides the program of the role, which has all verbs.
    files = [item for item in found.component["files"] if not item["path"].startswith("/usr/local/")]
    assert "rsyslog" not in repr(({**found.component, "files": files}, found.question, found.verify))
    assert [package["name"] for package in found.component["packages"]] == ["other", "logrotate"]
    assert file(found.component, builder.LOGROTATE)["template_vars"]["__log_shipper_reopen"] == (
        "/usr/bin/systemctl kill --signal=USR1 mlops-log-shipper.service"
    )
    assert found.component["ready"][0]["command"] == ["/usr/bin/other", "validate", Other.config]
    assert json.loads(file(found.component, builder.PLAN)["content"])["complaints"] == "panic"


def test_a_provider_may_have_reasons_of_its_own(monkeypatch):
    monkeypatch.setitem(SHIPPERS, "other", Other)
    assert built(OTHER, provider="other", sources=[source("odd")]).problems == ("odd is odd.",)
    assert built(sources=[source("odd")]).problems == ()


def test_a_provider_is_refused_what_it_cannot_do_and_who_can_is_named(monkeypatch):
    monkeypatch.setitem(SHIPPERS, "other", Other)
    kernel = {"name": "kernel", "type": "kernel"}
    found = built(OTHER, provider="other", sources=[kernel], sinks=[sink(queue={"disk_max_mib": 63})])
    assert found.problems == (
        "log_shipper_provider other has no sinks of type relp_tls on this host, which these are: central; rsyslog can.",
        "log_shipper_provider other has no sources of type kernel on this host, which these are: kernel; rsyslog can.",
        "log_shipper_provider other cannot block when a buffer is full, as these sinks want: central; it can "
        "drop_oldest, and rsyslog can.",
        "The buffer of other has at least 64 MiB, more than disk_max_mib of: central.",
    )


def test_the_readme_says_what_each_provider_has():
    table = (ROLE / "README.md").read_text().split("<!-- providers -->")[1].split("<!-- providers end -->")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.strip().splitlines()[2:]]
    known = yaml.safe_load((ROLE / "vars/Debian.yml").read_text())["__log_shipper_shippers"]
    assert [row[0].strip("`") for row in rows] == list(SHIPPERS)
    for name, sinks, full, releases, _tried in rows:
        row = known[name.strip("`")]
        everywhere, _, forky = sinks.partition("; forky: ")
        assert set(re.findall(r"`(\w+)`", everywhere)) == {
            kind for kind, where in row["sinks"].items() if set(where) == set(row["releases"])
        }
        assert set(re.findall(r"`(\w+)`", forky)) == {
            kind for kind, where in row["sinks"].items() if where == ["forky"]
        }
        assert re.findall(r"`(\w+)`", full) == list(SHIPPERS[name.strip("`")].when_full)
        named = {"bookworm": "12", "trixie": "13"}
        assert releases.split(", ") == [named.get(release, release) for release in row["releases"]]


@pytest.mark.parametrize("shared", ["pipeline.py", "validate.py", "build.py", "shippers/base.py"])
def test_what_all_shippers_share_knows_none_of_them(shared):
    text = (pathlib.Path(pipeline.__file__).parent / shared).read_text()
    assert [name for name in SHIPPERS if name in text] == []


def test_the_host_knows_where_its_sinks_are():
    brokers = {"name": "bus", "type": "kafka", "brokers": ["a:9093", "b:9093"], "topic": "t"}
    sinks = [sink(port=7), {"name": "logs", "type": "opensearch", "url": "https://search"}, brokers]
    assert planned(sinks=[*sinks, {"name": "here", "type": "file", "path": "/var/log/a"}])["peers"] == [
        {"sink": "central", "host": "loghost", "port": 7},
        {"sink": "logs", "host": "search", "port": 443},
        {"sink": "bus", "host": "a", "port": 9093},
        {"sink": "bus", "host": "b", "port": 9093},
    ]


@pytest.mark.parametrize(
    ("provider", "kind", "buffer"),
    [
        ("rsyslog", {"type": "relp_tls", "host": "loghost", "ca": CA}, "relp_tls 2"),
        ("otelcol", {"type": "loki", "url": "https://loki"}, "loki"),
    ],
)
def test_the_host_knows_who_can_read_a_buffer_on_disk(provider, kind, buffer):
    sinks = [{"name": "first", **kind}, {"name": "second", **kind, "queue": {"when_full": "drop_newest"}}]
    routes = [route(sinks=("first", "second"))]
    component = made(provider=provider, sources=[source()], sinks=sinks, routes=routes)
    found = plan.read(file(component, builder.PLAN)["content"], builder.PLAN)
    # One that blocks waits in the journal where its provider has a place there.
    first = "" if provider == "rsyslog" else "loki"
    assert (found.provider, [one.buffer for one in found.sinks]) == (provider, [first, buffer])


WAITING = {
    "sinks": [
        {"name": "central", "lines": 40, "since": "2026-12-01T10:00:00Z"},
        {"name": "plain", "lines": 1, "since": None},
        {"name": "other", "lines": None, "since": None},
    ]
}
SHIPS = {"provider": "rsyslog", "sources": [source()], "sinks": [sink()], "routes": [route()]}


@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_change_that_would_lose_lines_waits_and_says_which(state):
    found = build({"state": state, "python": PYTHON, "discard": "never", **SHIPS}, DEBIAN)
    assert found.question.module == "mlops.hosts.log_shipper_info"
    decision = found.decide(WAITING, {}, False)
    cure = "and would be lost. Bring the sink back and let them be sent, or set log_shipper_discard to when_needed."
    assert [item["why"] for item in decision.pending] == [
        "Nothing was changed: lines wait for the sink central (about 40, it takes none since 2026-12-01T10:00:00Z) "
        + cure,
        f"Nothing was changed: lines wait for the sink plain (about 1) {cure}",
        f"Nothing was changed: lines wait for the sink other (an unknown number) {cure}",
    ]
    assert [item["what"] for item in decision.pending] == ["sink central", "sink plain", "sink other"]
    assert found.decide({"sinks": []}, {}, False).pending == ()


@pytest.mark.parametrize("state", ["present", "absent"])
def test_with_consent_it_says_what_is_discarded(state):
    found = build({"state": state, "python": PYTHON, "discard": "when_needed", **SHIPS}, DEBIAN)
    decision = found.decide(WAITING, {}, False)
    assert decision.pending == ()
    assert decision.notices == (
        "Lines that wait for the sink central (about 40) are discarded.",
        "Lines that wait for the sink plain (about 1) are discarded.",
        "Lines that wait for the sink other (an unknown number) are discarded.",
    )


def test_the_host_is_told_what_is_desired_and_absent_loses_all():
    found = build({"state": "present", "python": PYTHON, **SHIPS}, DEBIAN)
    assert found.question.args["desired"] == json.loads(file(found.component, builder.PLAN)["content"])
    assert build({"state": "absent", **SHIPS}, DEBIAN).question.args == {}


def test_a_site_that_says_nothing_of_logs_loses_none():
    assert build({"state": "present"}, DEBIAN).question is None
