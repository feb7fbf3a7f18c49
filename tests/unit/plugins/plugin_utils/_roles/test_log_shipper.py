# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import pathlib
import re

import pytest
import yaml
from ansible_collections.mlops.hosts.plugins.module_utils._log_shipper import plan
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.built import Built
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.log_shipper import build as builder
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.log_shipper import pipeline
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.log_shipper.build import build, facts
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.log_shipper.shippers import SHIPPERS
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.log_shipper.shippers.base import Service
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.log_shipper.shippers.rsyslog import Rsyslog
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.platform import Platform, platform
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.variables import specification
from ansible_collections.mlops.hosts.tests.unit.fakes import FakeReader, refused, requirements_of

ROLE = pathlib.Path(__file__).parents[5] / "roles/log_shipper"
DEBIAN = platform("log_shipper", {"distribution": "Debian", "distribution_release": "bookworm", "os_family": "Debian"})
RIVALS = [rival["path"] for rival in DEBIAN.known["shippers"]["rsyslog"]["rivals"]]
KEY = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"
CA, CERT, PRIVATE_KEY = "/etc/ssl/logs/ca.pem", "/etc/ssl/logs/host.pem", "/etc/ssl/logs/host.key"
TEXTS = {"ca": None, "ca_content": "CA", "cert": None, "cert_content": "CERT", "private_key": None}
ON_HOST = {"ca": CA, "cert": CERT, "private_key": PRIVATE_KEY}


def source(name="models", **more):
    return {"name": name, "type": "journald", "units": ["mlops-*"], **more}


def sink(name="central", **more):
    return {"name": name, "type": "relp_tls", "host": "loghost", "ca": CA, **more}


def route(name="all", sources=("models",), sinks=("central",), **more):
    return {"name": name, "from": list(sources), "to": list(sinks), **more}


def receiver(name="central", **more):
    return {"name": name, "type": "relp_tls", **ON_HOST, "permitted_peers": ["sender"], **more}


def built(host=DEBIAN, **options):
    return build({"state": "present", "provider": "rsyslog", "python": "/usr/bin/python3", **options}, host)


def made(**lists):
    found = built(**lists)
    assert found.problems == ()
    return found.component


PYTHON = "/usr/bin/python3"


def file(component, path):
    return next(item for item in component["files"] if item["path"] == path)


def shown(what, **lists):
    return file(made(**lists), Rsyslog.config)["template_vars"][f"__log_shipper_{what}"]


def test_defaults_are_those_of_the_argument_specs():
    specs = specification("log_shipper")
    for options, defaults in (
        (specs["log_shipper_sinks"]["options"], pipeline.SINK),
        (specs["log_shipper_sinks"]["options"]["queue"]["options"], pipeline.QUEUE),
        (specs["log_shipper_receivers"]["options"], pipeline.RECEIVER),
    ):
        given = {name: option["default"] for name, option in options.items() if "default" in option}
        assert {name: value for name, value in given.items() if name != "state"} == defaults


# A sentence, and what brings it about.
REFUSED = {
    "These names are used twice: models; give each entry of a list a name of its own.": {
        "sources": [source(), source(state="absent")]
    },
    "These names are used twice: Central; give each entry of a list a name of its own.": {
        "sinks": [sink("Central"), sink("central")]
    },
    "These names cannot be used: a b, -x, y\n; use letters, digits, - and _.": {
        "sources": [source("a b"), source("-x"), source("y\n")]
    },
    "log_shipper_routes names sources that are not there: nobody; log_shipper_sources has models.": {
        "sources": [source(), source("nobody", state="absent")],
        "sinks": [sink()],
        "routes": [route(sources=["nobody", "models"]), route("again", sources=["nobody"])],
    },
    "log_shipper_routes names sinks that are not there: nowhere; log_shipper_sinks has none.": {
        "sources": [source()],
        "routes": [route(sinks=["nowhere"])],
    },
    "These sources of type journald have no units: a, b; list at least one.": {
        "sources": [source("a", units=None), source("b", units=[])]
    },
    "These are no names of units: a b, c|d; * and ? are the wildcards.": {
        "sources": [source(units=["a b", "c|d", "dev-disk-by\\x2duuid.device"])]
    },
    "Exactly one of ca and ca_content is needed, unlike in: both, none.": {
        "sinks": [sink("both", ca_content="CA"), sink("none", ca=None)]
    },
    "A certificate or key is given both as a path and as content in: central; leave one out.": {
        "sinks": [sink(**ON_HOST, cert_content="CERT", private_key_content=KEY)]
    },
    "A certificate needs its private key and the other way round, unlike in: a, b.": {
        "sinks": [
            sink("a", cert=CERT),
            sink("b", private_key=PRIVATE_KEY),
            sink("c", cert=CERT, private_key_content=KEY),
        ]
    },
    "These receivers have no certificate: central; give cert and private_key.": {
        "receivers": [receiver(cert=None, private_key=None)]
    },
    "These receivers would let in nobody: a, b; list permitted_peers.": {
        "receivers": [receiver("a", permitted_peers=[]), receiver("b", permitted_peers=None, port=1)]
    },
    "private_key_content is no unencrypted PEM key in: a, b.": {
        "sinks": [
            sink("a", cert=CERT, private_key_content="c2VjcmV0"),
            sink("b", cert=CERT, private_key_content="-----BEGIN ENCRYPTED PRIVATE KEY-----\nc2VjcmV0"),
        ]
    },
    'These hosts, addresses, groups or peers are invalid: a b, x"y, 1,2, c d.': {
        "sinks": [sink(host="a b", permitted_peers=['x"y', "*.example.org"])],
        "receivers": [receiver(address="1,2", group="c d")],
    },
    "These paths cannot be used: ca.pem, /a b; give absolute paths without blanks.": {
        "sinks": [sink(ca="ca.pem", cert="/a b", private_key=PRIVATE_KEY)]
    },
    "The shipper cannot read below /root, /home, /tmp, /var/tmp and /run/user: /root/ca, /home/me/ca, /tmp/ca; "
    "move them to /etc.": {
        "sinks": [
            sink("a", ca="/root/ca"),
            sink("b", ca="/home/me/ca"),
            sink("c", ca="/rooted/ca"),
            sink("d", ca="/tmp/ca"),
        ]
    },
    "The shipper cannot write below /root, /home, /tmp, /var/tmp and /run/user: /home/logs/{host}.log, "
    "/var/tmp/logs/{host}.log; use /var/log or /srv.": {
        "receivers": [
            receiver("a", path="/home/logs/{host}.log"),
            receiver("b", port=1, path="/var/tmp/logs/{host}.log"),
            receiver("c", port=2, path="/homes/logs/{host}.log"),
        ]
    },
    "The shipper cannot write to programs, settings and devices: /usr/a.json, /etc/a.json; use /var/log or /srv.": {
        "sinks": [
            {"name": "a", "type": "file", "path": "/usr/a.json"},
            {"name": "b", "type": "file", "path": "/etc/a.json"},
            {"name": "c", "type": "file", "path": "/usrs/a.json"},
        ]
    },
    "The shipper cannot write to programs, settings and devices: /usr/logs/{host}.log; use /var/log or /srv.": {
        "receivers": [receiver(path="/usr/logs/{host}.log")]
    },
    "Two receivers want port 6514; give each a port of its own.": {
        "receivers": [receiver("a"), receiver("b", port="6514"), receiver("c", port=1, state="absent")]
    },
}


@pytest.mark.parametrize(("sentence", "lists"), REFUSED.items(), ids=list(REFUSED))
def test_what_cannot_be_meant_is_one_sentence_without_any_key(sentence, lists):
    found = built(**lists)
    assert found == Built(problems=(sentence,))
    assert "c2VjcmV0" not in repr(found)


@pytest.mark.parametrize(
    ("path", "usable"),
    [
        ("/var/log/mlops/{host}/{program}.log", True),
        ("/srv/logs/{host}.log", True),
        ("/srv/logs/a-{host}-z/all.{program}", True),
        ("/srv/{host}.log", False),
        ("/srv/logs/{program}.log", False),
        ("/var/log/{host}/{program}.log", False),
        ("/srv/logs/{host}/../{program}.log", False),
        ("/srv/../{host}/{program}.log", False),
        ("/srv/logs/{user}/{host}.log", False),
        ("logs/{host}", False),
    ],
)
def test_received_logs_have_a_directory_of_their_own(path, usable):
    assert built(receivers=[receiver(path=path)]).problems == (
        ()
        if usable
        else (
            f"These patterns of received logs cannot be used: {path}; give a directory of their own, then {{host}}, "
            "such as /var/log/mlops/{host}/{program}.log.",
        )
    )


def test_everything_that_is_wrong_is_said():
    assert len(built(sources=[source(units=[])], sinks=[sink(ca=None)]).problems) == 2


def test_a_refused_request_asks_nothing_and_holds_no_key():
    found = built(sinks=[sink(**TEXTS, private_key_content=KEY), sink()])
    assert found.problems
    assert (found.question, found.component, found.verify) == (None, None, None)


@pytest.mark.parametrize(
    ("lists", "packages"),
    [
        pytest.param({}, ["rsyslog"], id="nothing-needs-rsyslog-only"),
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


KERNEL = '$inputname == "imjournal" and $!mlops_transport == "kernel"'
MODELS = (
    '$inputname == "imjournal" and ($!mlops_unit != "" and re_match($!mlops_unit, "^(mlops-.*|vllm[.]service)\\$"))'
)


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


TEST_LINE = '$!mlops_test != ""'
CONDITIONS = {
    "units": (source(units=["mlops-*", "vllm"]), MODELS),
    "kernel": ({"name": "kernel", "type": "kernel"}, KERNEL),
    "important": (
        {"name": "kernel", "type": "kernel", "priority": "warning"},
        f'{KERNEL} and ($syslogseverity <= 4 or $!mlops_test != "")',
    ),
    "instances": (
        {"name": "chat", "type": "model_servers", "instances": ["chat"]},
        MODELS.replace("mlops-.*|vllm[.]service", "mlops-model-chat[.]service"),
    ),
    "events": (
        {"name": "gpus", "type": "gpu_events"},
        MODELS.replace("mlops-.*|vllm[.]service", "mlops-gpu-events[.]service")
        + ' and ($!MLOPS_GPU_EVENT == "1" or $!mlops_test != "")',
    ),
    "containers": (
        {"name": "boxes", "type": "containers", "containers": ["chat-?"]},
        '$inputname == "imjournal" and ($!mlops_container != "" and re_match($!mlops_container, "^(chat-.)\\$"))',
    ),
    "files": ({"name": "old", "type": "files", "paths": ["/var/log/a.log"]}, '$syslogtag == "mlops-file-old:"'),
}


@pytest.mark.parametrize("kind", CONDITIONS)
def test_a_source_is_a_condition(kind):
    given, words = CONDITIONS[kind]
    (shown_source,) = shown("sources", sources=[given], sinks=[sink()], routes=[route(sources=[given["name"]])])
    assert shown_source == {"name": given["name"], "condition": words}


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
    assert [flow["condition"] for flow in one["flows"]] == [condition]


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


@pytest.mark.parametrize("kind", ["relp_tls", "syslog_tls"])
def test_the_configuration_is_validated_with_the_contents_that_it_names(kind):
    component = made(sinks=[sink(**TEXTS | {"private_key_content": KEY}, type=kind)], receivers=[receiver()])
    assert file(component, Rsyslog.config)["validate_with"] == [
        "/etc/mlops-log-shipper/sink-central.ca.pem",
        "/etc/mlops-log-shipper/sink-central.cert.pem",
        "/etc/mlops-log-shipper/sink-central.key.pem",
    ]


def required(component):
    """What conditions are about, by their kind."""
    found = {}
    for item in requirements_of(component):
        found.setdefault(item.kind, []).append(item.port or item.path)
    return found


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
    assert len(built(textfile_dir="here").problems) == 1


def test_nothing_of_the_sites_own_rsyslog_is_touched():
    component = made(sources=[source()], sinks=[sink()], routes=[route()], receivers=[receiver()])
    assert not [item["path"] for item in component["files"] if item["path"].startswith("/etc/rsyslog")]
    assert "rsyslog.service" not in {unit["name"] for unit in component["units"]}


@pytest.mark.parametrize("lists", [{}, {"sources": [source()]}, {"sinks": [sink(state="absent")]}])
def test_with_nothing_to_ship_or_receive_nothing_runs(lists):
    component = made(**lists)
    assert (component["files"], component["units"], component["ready"]) == ([], [], [])
    assert built(**lists).verify is None


def planned(**lists):
    return json.loads(file(made(**lists), builder.PLAN)["content"])


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


def conflicts(paths=(), listeners=(), **more):
    paths = {path: {} for path in ON_HOST.values()} | {PYTHON: {"mode": "0755"}} | dict(paths)
    reader = FakeReader(
        [{"path": path, "kind": "file", "mode": "0600"} | what for path, what in paths.items()],
        [{"port": port, "unit": unit} for port, unit in listeners],
    )
    receivers = [receiver(str(port), port=port) for port in (22, 514, 6514)]
    return refused(made(sinks=[sink(**ON_HOST)], receivers=receivers), reader, **more)


@pytest.mark.parametrize(
    ("paths", "listeners", "sentences"),
    [
        ({CA: {"mode": "0644"}, PRIVATE_KEY: {"mode": "0640"}}, [(6514, "mlops-log-shipper.service")], []),
        (
            {CA: {"kind": "absent", "mode": None}, CERT: {"kind": "directory", "mode": "0755"}},
            [],
            [f"These files are not on the host: {CA}, {CERT}; put them there first, or give their content."],
        ),
        (
            {PRIVATE_KEY: {"mode": "0604"}},
            [],
            [f"The private key {PRIVATE_KEY} can be read by others; take away their permissions (mode 0600 or 0640)."],
        ),
        (
            {},
            [(22, "ssh.service"), (22, "ssh.service"), (514, "rsyslog.service"), (6514, None)],
            [
                "Another program listens on port 22 (ssh.service), 514 (rsyslog.service), 6514; stop it or choose "
                "another port."
            ],
        ),
        (
            {"/usr/sbin/syslog-ng": {"mode": "0755"}},
            [],
            [
                "The host logs with syslog-ng-core (/usr/sbin/syslog-ng), which the package rsyslog would remove; "
                "remove it yourself, or take the host out of the play."
            ],
        ),
        ({"/usr/sbin/syslog-ng": {"kind": "absent", "mode": None}}, [], []),
        (
            {PYTHON: {"kind": "absent", "mode": None}},
            [],
            [f"log_shipper_python is no program on the host: {PYTHON}; install it, or name another one."],
        ),
    ],
    ids=["a-good-host", "files-are-missing", "a-key-is-open", "a-port-is-taken", "a-rival", "no-rival", "no-python"],
)
def test_what_the_host_has_against_it_is_one_sentence(paths, listeners, sentences):
    assert conflicts(paths, listeners) == (sentences, [])


def test_in_check_mode_an_earlier_role_may_bring_the_files():
    words = f"These files are not on the host: {CA}; put them there first, or give their content."
    absent, directory = {CA: {"kind": "absent", "mode": None}}, {CA: {"kind": "directory", "mode": "0755"}}
    assert conflicts(absent, check_mode=True) == ([], [words])
    assert conflicts(directory, check_mode=True) == ([words], [])


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


@pytest.mark.parametrize(
    ("distribution", "release", "family"),
    [("Ubuntu", "noble", "Debian"), ("Debian", "buster", "Debian"), ("Fedora", "42", "RedHat")],
)
def test_a_host_that_is_not_known_is_said_with_all_that_is_wrong(distribution, release, family):
    host = {"distribution": distribution, "distribution_release": release, "os_family": family}
    first, second = built(platform("log_shipper", host), sources=[source(units=[])]).problems
    assert first == (
        "log_shipper runs on Debian bookworm, trixie and forky, and this host is "
        f"{distribution} {release}; take it out of the play."
    )
    assert "journald have no units" in second


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
        },
        {"name": "plain", "memory": 2000, "flows": []},
    ]
    assert found["certificates"][0]["key"] == "/etc/mlops-log-shipper/sink-central.key.pem"
    assert (found["certificates"][0]["host"], found["certificates"][0]["port"]) == ("loghost", 6514)
    assert plan.read(json.dumps(found), "plan.json").sinks[0].memory == 50


# The seam: one file and one row a program


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

    name, complaints, reopen, receipts, counts = "other", "panic", "USR1", True, False
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


OPTIONS = {
    "Sinks of type loki need url: logs.": [{"name": "logs", "type": "loki"}],
    "Sinks of type file have no such option: here (host).": [
        {"name": "here", "type": "file", "path": "/var/log/a.jsonl", "host": "a"}
    ],
    "The URL must be http://HOST[:PORT][/PATH] or https://..., unlike in: a, b, c.": [
        {"name": "a", "type": "opensearch", "url": "ftp://x"},
        {"name": "b", "type": "opensearch", "url": "https://x:99999"},
        {"name": "c", "type": "opensearch", "url": "https://"},
    ],
    "A URL has neither a user nor a query: give username, password or token as options of: a.": [
        {"name": "a", "type": "opensearch", "url": "https://me@x"}
    ],
    "These sinks would send logs unencrypted over the network: a; use https, or set plain_http.": [
        {"name": "a", "type": "opensearch", "url": "http://search"},
        {"name": "b", "type": "opensearch", "url": "http://127.0.0.1:9200"},
        {"name": "c", "type": "opensearch", "url": "http://search", "plain_http": True},
    ],
    'These URLs cannot be used: https://x/"a.': [{"name": "a", "type": "opensearch", "url": 'https://x/"a'}],
    "Either a token or a password: a.": [
        {"name": "a", "type": "opensearch", "url": "https://x", "token": "t", "username": "u", "password": "p"}
    ],
    "A password needs its username and the other way round, unlike in: a.": [
        {"name": "a", "type": "opensearch", "url": "https://x", "password": "p"}
    ],
    "Brokers are HOST:PORT, unlike: a.": [{"name": "a", "type": "kafka", "brokers": ["a"], "topic": "t"}],
    "These words of sinks cannot be used: a b.": [
        {"name": "a", "type": "opensearch", "url": "https://x", "index": "a b"}
    ],
    "These files of sinks cannot be used: a.jsonl.": [{"name": "a", "type": "file", "path": "a.jsonl"}],
}


@pytest.mark.parametrize("sentence", OPTIONS)
def test_options_of_a_sink_are_those_of_its_type(sentence):
    assert sentence in built(sinks=OPTIONS[sentence]).problems


@pytest.mark.parametrize(
    ("lists", "sentence"),
    [
        (
            {"sources": [source(labels={"Team": "a", "host": "b", "team": "c$d"})]},
            (
                "These names of labels cannot be used: Team; use small letters, digits and _.",
                "These labels are given by the role itself: host.",
                "These values of labels cannot be used: c$d; use letters, digits, blanks and . _ : / @ + -.",
            ),
        ),
        (
            {"sources": [source()], "sinks": [sink()], "routes": [route(contains=['a"b'])]},
            ('These texts of routes cannot be used: a"b; use letters, digits, blanks and . _ : / @ + - .',),
        ),
        (
            {"redact_patterns": ["a(", 'a"', "a\\d", "b*", "card-[0-9]+"]},
            (
                'These patterns of log_shipper_redact_patterns cannot be used: a(, a", a\\d, b*; give extended regular '
                "expressions without quotation marks, backslashes and groups that are referred to.",
            ),
        ),
        (
            {"sources": [{"name": "old", "type": "files", "paths": ["/var/*/a", "/tmp/a.log", "/l/*.log"]}]},
            (
                "These paths of log files cannot be used: /var/*/a; give absolute paths, with * in the last part at "
                "most.",
                "The shipper cannot read below /root, /home, /tmp, /var/tmp and /run/user: /tmp/a.log; log elsewhere.",
            ),
        ),
    ],
    ids=["labels", "texts", "patterns", "files"],
)
def test_what_means_something_else_to_some_program_is_refused(lists, sentence):
    assert built(**lists).problems == sentence


@pytest.mark.parametrize(
    ("release", "refused_types"), [("bookworm", ["http", "loki"]), ("trixie", ["http", "loki"]), ("forky", [])]
)
def test_what_a_release_does_not_have_is_refused(release, refused_types):
    host = platform("log_shipper", {"distribution": "Debian", "distribution_release": release, "os_family": "Debian"})
    sinks = [{"name": kind, "type": kind, "url": "https://logs.example.org"} for kind in ("http", "loki", "opensearch")]
    problems = built(host, sinks=sinks).problems
    assert [re.findall(r"of type (\w+)", problem)[0] for problem in problems] == refused_types


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
