# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role builds: units, files that are checked, whom Prometheus asks, and who is told."""

from __future__ import annotations

import json

import pytest
import yaml
from ansible_collections.mlops.hosts.plugins.module_utils._monitoring import paths, plan
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.built import Built
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.monitoring import build as room
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.monitoring import rules
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.options import convert
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.platform import platform
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.variables import specification

from ....fakes import FakeReader, refused

NOTHING = {
    **{"state": "unmanaged", "node_exporter": True, "node_exporter_address": "127.0.0.1", "node_exporter_port": 9100},
    **{"prometheus": False, "prometheus_address": "127.0.0.1", "prometheus_port": 9090},
    **{"alertmanager": False, "alertmanager_address": "127.0.0.1", "alertmanager_port": 9093},
    **{"instances": [], "metrics_address": "127.0.0.1", "metrics_port": 8405},
    **{"provider": "textfile", "dcgm_address": "127.0.0.1", "dcgm_port": 9400},
}
HOOK = {"name": "hook", "type": "webhook", "url": "http://127.0.0.1:5001/"}
ALERT = "groups: [{name: site, rules: [{alert: Site, expr: up == 0, labels: {severity: page}}]}]"


def debian(release="trixie"):
    facts = {"distribution": "Debian", "distribution_release": release, "os_family": "Debian"}
    return platform("monitoring", facts)


def host(*instances, address="10.0.0.1", **more):
    return {**NOTHING, "state": "present", "address": address, "instances": list(instances), **more}


def chat(**more):
    return {"name": "chat", "engine": "vllm", "host": "0.0.0.0", "port": 8001, "model": {"path": "/srv/m"}, **more}


def built(hosts=None, on=None, **given):
    given = {"state": "present", "targets": list(hosts or ()), "gateways": [], "default_rules": False, **given}
    found = convert(specification("monitoring"), {f"monitoring_{name}": value for name, value in given.items()})
    assert found.problems == ()
    options = {name.removeprefix("monitoring_"): value for name, value in found.values.items()}
    options["fleet"] = {"here": "mon", "hosts": {"mon": host(), **(hosts or {})}}
    return room.build(options, on or debian())


def server(hosts=None, **given):
    """A host with all parts."""
    return built(hosts, **{"prometheus": True, "alertmanager": True, "receivers": [HOOK], **given})


def file(found, path):
    return next(item for item in found.component["files"] if item["path"] == path)


def read(found, path):
    return yaml.safe_load(file(found, path)["content"])


def targets(found, job):
    rows = read(found, f"{paths.TARGETS}/{job}.json")
    return [(row["targets"][0], row["labels"]) for row in rows]


def test_by_default_nothing_is_done():
    assert built(state="unmanaged") == Built()


def test_what_goes():
    found = built(state="absent")
    assert found.component == {"name": "monitoring", "state": "absent"}
    leftovers = ["/var/lib/mlops-prometheus", "/var/lib/mlops-alertmanager", "/opt/mlops.hosts/monitoring"]
    assert found.rest(False, False) == {"tasks": "remove", "leftovers": leftovers}


def test_a_host_that_only_tells_has_node_exporter_alone():
    component = built().component
    assert component["packages"] == [{"name": "prometheus-node-exporter"}]
    assert component["units"] == [
        {"name": "prometheus-node-exporter.service", "state": "unmanaged", "enabled": False},
        {"name": "mlops-node-exporter.service"},
    ]
    folders = [item["path"] for item in component["directories"]]
    assert folders[-2:] == ["/var/lib/node_exporter", "/var/lib/node_exporter/textfile_collector"]
    # It has no files of its own that could be others than those that run, and costs one round trip.
    assert built().checks == () and built().rest(False, False) is None
    assert [item["http"] for item in component["ready"] if "http" in item] == []


def test_a_directory_of_the_system_is_not_ours():
    found = built(textfile_dir="/var/metrics")
    assert "/var" not in [item["path"] for item in found.component["directories"]]


def test_what_is_reloaded_restarted_and_read_without():
    files = server(rules=[{"name": "site", "content": ALERT}]).component["files"]
    acts = {item["path"]: (item.get("on_change", "restart"), item.get("units")) for item in files}
    prometheus = ["mlops-prometheus.service"]
    assert acts[paths.PROMETHEUS_YML] == acts[f"{paths.RULES}/site.yml"] == ("reload", prometheus)
    assert acts[f"{paths.TARGETS}/node.json"][0] == "none"
    assert acts[paths.ALERTMANAGER_YML] == ("reload", ["mlops-alertmanager.service"])
    assert acts["/etc/systemd/system/mlops-prometheus.service"] == ("restart", prometheus)


def test_files_are_checked_before_they_count():
    found = server(rules=[{"name": "site", "content": ALERT}])
    config = file(found, paths.PROMETHEUS_YML)
    assert config["validate"] == ["/usr/bin/promtool", "check", "config", "{staged}"]
    # By name: a pattern that fits no file is no error to Prometheus.
    assert read(found, paths.PROMETHEUS_YML)["rule_files"] == [f"{paths.RULES}/site.yml"]
    assert {f"{paths.RULES}/site.yml", f"{paths.TARGETS}/node.json"} <= set(config["validate_with"])
    assert file(found, f"{paths.RULES}/site.yml")["validate"][:4] == [
        "/usr/bin/promtool",
        "check",
        "rules",
        "--lint-fatal",
    ]
    assert file(found, paths.ALERTMANAGER_YML)["validate"] == ["/usr/bin/amtool", "check-config", "{staged}"]


def test_it_is_asked_what_runs():
    found = server(rules=[{"name": "site", "content": ALERT}])
    of_program = plan.read(file(found, paths.PLAN)["content"], "plan")
    assert of_program.prometheus.rules == {f"{paths.RULES}/site.yml": ["site"]}
    assert of_program.prometheus.targets["node"] == ["127.0.0.1:9100"]
    assert of_program.alertmanager.url == "http://127.0.0.1:9093"
    assert found.component["ready"][-1]["command"][:3] == [paths.PROGRAM, "check", "--repair"]
    (check,) = found.checks
    (row,) = check.drift({"stale": ["mlops-prometheus.service"]})
    assert (row["item"], row["want"]) == ("mlops-prometheus.service", "what is on disk")
    assert found.rest(False, True) == {"tasks": "reload"} and found.rest(True, False) is None


@pytest.mark.parametrize(
    ("release", "protocol"), [("bookworm", None), ("trixie", None), ("forky", "PrometheusText0.0.4")]
)
def test_each_release_gets_the_keys_that_it_knows(release, protocol):
    found = server(on=debian(release))
    jobs = read(found, paths.PROMETHEUS_YML)["scrape_configs"]
    assert {job.get("fallback_scrape_protocol") for job in jobs} == {protocol}


class TestTargets:
    def test_hosts_and_their_servers(self):
        hosts = {
            "gpu1": host(chat(), node_exporter_address="0.0.0.0"),
            "gpu2": host(address="10.0.0.2", node_exporter_address="10.9.0.2", node_exporter_port=9200),
            "other": {**host(address="10.0.0.3", node_exporter_address="0.0.0.0"), "state": "unmanaged"},
            "silent": host(address="10.0.0.4", node_exporter=False),
        }
        found = server(hosts)
        assert targets(found, "node") == [
            ("10.0.0.1:9100", {"host": "gpu1"}),
            ("10.9.0.2:9200", {"host": "gpu2"}),
            ("127.0.0.1:9100", {"host": "mon"}),
        ]
        labels = {"host": "gpu1", "model_instance": "chat", "model": "chat", "engine": "vllm"}
        assert targets(found, "model_server") == [("10.0.0.1:8001", labels)]
        assert targets(found, "prometheus") == [("127.0.0.1:9090", {"host": "mon"})]
        assert found.notices == ()
        assert found.published["targets"]["model_server"] == ["10.0.0.1:8001"]

    def test_what_listens_on_loopback_of_others_is_told_once(self):
        hosts = {f"gpu{number}": host(address=f"10.0.0.{number}") for number in range(1, 8)}
        (notice,) = server(hosts).notices
        assert notice == (
            "node_exporter of gpu1, gpu2, gpu3, gpu4, gpu5 and 2 more listens on loopback and is not scraped from mon; "
            "set monitoring_node_exporter_address there to an address of the network between them, and let no one else "
            "reach that."
        )

    def test_a_server_on_loopback_here_is_reached(self):
        here = {"mon": host(chat(host="127.0.0.1"))}
        assert targets(server(here), "model_server")[0][0] == "127.0.0.1:8001"
        (notice,) = server({"gpu1": host(chat(host="127.0.0.1"), node_exporter=False)}).notices
        assert notice.startswith("Instance 'chat' of gpu1 listens on loopback") and "set its host there" in notice

    @pytest.mark.parametrize(
        ("instance", "says"),
        [
            ({"engine": "llama_cpp"}, "serves no metrics; add --metrics to its extra_args"),
            ({"engine": "sglang"}, "serves no metrics; add --enable-metrics to its extra_args"),
            (
                {"engine": "llama_cpp", "extra_args": ["--metrics"], "api_key_file": "/etc/key"},
                "is not scraped: its key is in a file there",
            ),
        ],
    )
    def test_a_server_that_cannot_be_scraped_is_named(self, instance, says):
        found = server({"gpu1": host(chat(**instance), node_exporter=False)})
        (notice,) = found.notices
        assert notice.startswith(f"Instance 'chat' of gpu1 {says}")
        assert "model_server" not in found.published["targets"]

    @pytest.mark.parametrize(
        "instance",
        [
            {"engine": "llama_cpp", "extra_args": ["--metrics"]},
            {"engine": "llama_cpp", "environment": {"LLAMA_ARG_ENDPOINT_METRICS": "on"}},
            {"engine": "sglang", "extra_args": ["--enable-metrics"]},
            {"engine": "tei"},
        ],
    )
    def test_servers_with_metrics(self, instance):
        found = server({"gpu1": host(chat(**instance), node_exporter=False)})
        assert found.notices == () and targets(found, "model_server")[0][1]["engine"] == instance["engine"]

    @pytest.mark.parametrize("engine", ["ollama", "triton"])
    def test_servers_that_can_have_none(self, engine):
        found = server({"gpu1": host(chat(engine=engine), node_exporter=False)})
        assert found.notices == () and "model_server" not in found.published["targets"]

    def test_one_server_over_several_hosts_is_one_target(self):
        spread = chat(hosts=["gpu1", "gpu2"])
        hosts = {name: host(spread, address=name, node_exporter=False) for name in ("gpu1", "gpu2")}
        assert [address for address, _labels in targets(server(hosts), "model_server")] == ["gpu1:8001"]

    def test_a_key_is_in_a_secret_file_of_its_own(self):
        keyed = chat(engine="llama_cpp", extra_args=["--metrics"], api_key="sk-123456")
        found = server({"gpu1": host(keyed, chat(name="free", port=8002), node_exporter=False)})
        (job,) = [job for job in found.published["targets"] if job.startswith("model_server-")]
        config = next(one for one in read(found, paths.PROMETHEUS_YML)["scrape_configs"] if one["job_name"] == job)
        assert config["relabel_configs"] == [{"target_label": "job", "replacement": "model_server"}]
        key = file(found, config["authorization"]["credentials_file"])
        assert (key["content"], key["secret"], key["mode"], key["group"]) == (
            "sk-123456",
            True,
            "0640",
            "mlops-prometheus",
        )
        shown = json.dumps([item for item in found.component["files"] if not item.get("secret")])
        assert "sk-123456" not in shown

    def test_gateways(self):
        hosts = {
            "gate1": host(metrics_address="0.0.0.0", node_exporter=False),
            "gate2": host(metrics_port=0, node_exporter=False),
            "gate3": host(node_exporter=False),
            # Where the role is absent its options have no value.
            "gate4": host(metrics_port=None, metrics_address=None, node_exporter=False),
        }
        found = server(hosts, targets=[], gateways=list(hosts))
        assert targets(found, "gateway") == [("10.0.0.1:8405", {"host": "gate1"})]
        (notice,) = found.notices
        assert notice.startswith("The gateway's exporter of gate3 listens on loopback")

    def test_dcgm(self):
        hosts = {
            "gpu1": host(provider="dcgm", dcgm_address="0.0.0.0", node_exporter=False),
            "gpu2": host(provider="dcgm", node_exporter=False),
        }
        found = server(hosts)
        assert targets(found, "dcgm") == [("10.0.0.1:9400", {"host": "gpu1"})]
        assert found.notices[0].startswith(
            "DCGM's exporter of gpu2 listens on loopback and is not scraped from mon; set "
        )

    def test_what_users_add(self):
        extra = [
            {"name": "dcgm-gpu1", "job": "dcgm", "addresses": ["10.0.0.1:9400"], "host": "gpu1"},
            {
                **{"name": "site", "addresses": ["site.example:443"], "scheme": "https", "path": "/m"},
                **{"ca_file": "/etc/ca.pem", "bearer_token": "secret-token", "labels": {"team": "search"}},
            },
        ]
        found = server(extra_targets=extra)
        assert targets(found, "dcgm-gpu1") == [("10.0.0.1:9400", {"host": "gpu1"})]
        assert targets(found, "site") == [("site.example:443", {"team": "search"})]
        jobs = {job["job_name"]: job for job in read(found, paths.PROMETHEUS_YML)["scrape_configs"]}
        assert jobs["dcgm-gpu1"]["relabel_configs"] == [{"target_label": "job", "replacement": "dcgm"}]
        assert (jobs["site"]["metrics_path"], jobs["site"]["scheme"]) == ("/m", "https")
        assert jobs["site"]["tls_config"] == {"ca_file": "/etc/ca.pem"}
        assert [item["path"] for item in found.component["requires"] if item["kind"] == "path"] == ["/etc/ca.pem"]

    def test_addresses_of_version_6(self):
        found = server({"gpu1": host(address="fd00::1", node_exporter_address="::")}, node_exporter_address="::")
        assert [address for address, _labels in targets(found, "node")] == ["[fd00::1]:9100", "[::1]:9100"]


class TestAlerts:
    def test_they_go_to_all_that_can_be_reached(self):
        hosts = {"am1": host(alertmanager=True, alertmanager_address="0.0.0.0"), "am2": host(alertmanager=True)}
        found = server(hosts)
        (to,) = read(found, paths.PROMETHEUS_YML)["alerting"]["alertmanagers"]
        assert to == {"static_configs": [{"targets": ["127.0.0.1:9093", "10.0.0.1:9093"]}]}

    def test_nobody_is_told_without_one(self):
        found = built(prometheus=True)
        assert "alerting" not in read(found, paths.PROMETHEUS_YML)
        assert found.notices[0].startswith("Prometheus fires alerts that nobody is told of")

    def test_a_severity_that_nobody_takes_is_told(self):
        found = server(rules=[{"name": "site", "content": ALERT}], receivers=[{**HOOK, "severities": ["ticket"]}])
        assert found.notices == (
            "No receiver of monitoring_receivers takes alerts of severity page, so that nobody is told of them.",
        )

    def test_routes_and_what_is_silenced(self):
        config = read(server(receivers=[{**HOOK, "severities": ["page"]}]), paths.ALERTMANAGER_YML)
        assert config["route"]["routes"] == [{"receiver": "hook", "matchers": ['severity=~"page"'], "continue": True}]
        assert config["route"]["receiver"] == "nobody" and config["route"]["group_wait"] == "30s"
        assert config["inhibit_rules"][0]["source_matchers"] == ['alertname="HostSilent"']
        assert config["inhibit_rules"][0]["equal"] == ["host"]

    @pytest.mark.parametrize(
        ("receiver", "config"),
        [
            (
                {"type": "webhook", "url": "https://a.example/x", "credential_file": "/s/t", "ca_file": "/s/ca"},
                {
                    "url": "https://a.example/x",
                    "http_config": {
                        "authorization": {"credentials_file": "/run/mlops-alertmanager/r.credential_file"},
                        "tls_config": {"ca_file": "/s/ca"},
                    },
                },
            ),
            ({"type": "webhook", "url_file": "/s/u"}, {"url_file": "/run/mlops-alertmanager/r.url_file"}),
            (
                {"type": "webhook", "url": "http://[::1]:1/", "username": "u", "credential_file": "/s/p"},
                {
                    "url": "http://[::1]:1/",
                    "http_config": {
                        "basic_auth": {
                            "username": "u",
                            "password_file": "/run/mlops-alertmanager/r.credential_file",
                        }
                    },
                },
            ),
            (
                {"type": "slack", "channel": "#a", "credential_file": "/s/u"},
                {"api_url_file": "/run/mlops-alertmanager/r.credential_file", "channel": "#a"},
            ),
            (
                {"type": "pagerduty", "credential_file": "/s/k"},
                {"routing_key_file": "/run/mlops-alertmanager/r.credential_file"},
            ),
            (
                {
                    **{"type": "email", "to": "a@b.c", "from": "x@b.c", "smarthost": "mail:587"},
                    **{"username": "u", "credential_file": "/s/p"},
                },
                {
                    **{"to": "a@b.c", "from": "x@b.c", "smarthost": "mail:587", "require_tls": True},
                    "auth_username": "u",
                    "auth_password_file": "/run/mlops-alertmanager/r.credential_file",
                },
            ),
            (
                {
                    **{"type": "email", "to": "a@b.c", "from": "x@b.c", "smarthost": "localhost:25"},
                    "require_tls": False,
                },
                {"to": "a@b.c", "from": "x@b.c", "smarthost": "localhost:25", "require_tls": False},
            ),
        ],
    )
    def test_how_receivers_are_told(self, receiver, config):
        found = server(receivers=[{"name": "r", "send_resolved": False, **receiver}])
        made = read(found, paths.ALERTMANAGER_YML)["receivers"][1]
        assert made == {"name": "r", f"{receiver['type']}_configs": [{**config, "send_resolved": False}]}

    def test_their_secrets_are_copied_by_the_unit(self):
        found = server(receivers=[{"name": "r", "type": "pagerduty", "credential_file": "/s/k"}])
        shown = file(found, "/etc/systemd/system/mlops-alertmanager.service")["template_vars"]["__monitoring"]
        assert shown["credentials"] == {"/run/mlops-alertmanager/r.credential_file": "/s/k"}


class TestHost:
    """What is required of it."""

    def test_nothing_is_in_the_way(self):
        assert refused(server().component, FakeReader()) == ([], [])

    @pytest.mark.parametrize(
        ("reader", "says"),
        [
            (
                {
                    "listeners": [
                        {"port": 9100, "pid": 7, "process": "node", "unit": "prometheus-node-exporter.service"}
                    ]
                },
                "node_exporter cannot listen on port 9100, which is held by node (pid 7, "
                "prometheus-node-exporter.service); stop and disable that, or set monitoring_node_exporter_port.",
            ),
            (
                {"disk_bytes": 15 << 30},
                "Prometheus would keep 20 GiB of samples in /var/lib/mlops-prometheus, and its file system has 15.0 "
                "GiB; set monitoring_retention_gib to less.",
            ),
            (
                {"paths": [{"path": "/s/k", "kind": "file", "mode": "0644", "owner": "root", "group": "root"}]},
                "The credential of a receiver in /s/k can be read by others; set mode 0600.",
            ),
            (
                {},
                "The file of the credential of a receiver must be on the host, and /s/k is not there; copy it there "
                "first.",
            ),
        ],
    )
    def test_what_is_in_the_way_is_told(self, reader, says):
        found = server(receivers=[{"name": "r", "type": "pagerduty", "credential_file": "/s/k"}])
        there = {"path": "/s/k", "kind": "file", "mode": "0600", "owner": "root", "group": "root"}
        reader = {"paths": [there], **reader} if reader else {}
        assert refused(found.component, FakeReader(**reader))[0] == [says]


def problems(**given):
    return server(**given).problems


UNKNOWN = "groups: [{name: a, rules: [{alert: A, expr: mlops_no_such_metric > 0}]}]"
TWICE = "groups: [{name: a, rules: [{record: r, expr: up}, {record: r, expr: down}]}]"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (
            {"node_exporter": False, "prometheus": False, "alertmanager": False},
            "The host has no part of the monitoring",
        ),
        (
            {"prometheus_address": "0.0.0.0"},
            "Prometheus would listen on 0.0.0.0 without a password, where others can read",
        ),
        ({"alertmanager_address": "10.0.0.1"}, "where others can silence all alerts; let it listen on 127.0.0.1, or"),
        ({"node_exporter_address": "gpu1"}, "monitoring_node_exporter_address must be an address of the host"),
        ({"prometheus_port": 9093}, "monitoring_alertmanager_port and monitoring_prometheus_port are both 9093"),
        ({"prometheus_port": 0}, "monitoring_prometheus_port must be 1 to 65535, not 0."),
        ({"retention_gib": 0}, "monitoring_retention_gib must be 1 or more, not 0."),
        ({"textfile_dir": "metrics/"}, "monitoring_textfile_dir must be an absolute path"),
        ({"node_exporter_options": ["--web.listen-address=:1"]}, "has --web.listen-address=:1, which the role sets"),
        ({"node_exporter_options": ["--a; rm"]}, "must have flags such as --collector.systemd, not --a; rm."),
        ({"prometheus_url": "mon"}, "monitoring_prometheus_url must be an address as https://HOST/PATH, not 'mon'."),
        ({"external_labels": {"a-b": "c"}}, "monitoring_external_labels has a-b; names of labels are"),
        ({"extra_targets": [{"name": "a/b", "addresses": ["h:1"]}]}, "names and jobs are letters, digits, - and _"),
        ({"extra_targets": [{"name": "a", "addresses": ["http://h:1"]}]}, "must have HOST:PORT, not http://h:1."),
        ({"extra_targets": [{"name": "a", "addresses": []}]}, "has no addresses; give it one, or leave it out."),
        ({"extra_targets": [{"name": "a", "addresses": ["h:1"], "labels": {"job": "x"}}]}, "and job is an option."),
        (
            {"extra_targets": [{"name": "a", "addresses": ["h:1"], "bearer_token": "t"}]},
            "would send its bearer_token over the network unencrypted; set scheme: https.",
        ),
        ({"extra_targets": [{"name": "node", "addresses": ["h:1"]}]}, "and node is there twice."),
        (
            {"extra_targets": [{"name": "n", "job": "node", "addresses": ["127.0.0.1:9100"]}]},
            "127.0.0.1:9100 would be scraped twice as job node, for mon and for n; give each its own address",
        ),
        ({"receivers": []}, "monitoring_receivers has no receiver, so that nobody would be told of alerts; add one."),
        ({"receivers": [HOOK, HOOK]}, "monitoring_receivers has hook twice; give each a name of its own."),
        ({"rules": [{"name": "mlops_x", "content": ALERT}]}, "cannot be its name; use small letters"),
        ({"rules": [{"name": "a", "content": "{"}]}, "must have the text of a file of rules"),
        ({"rules": [{"name": "a", "content": "groups: [1]"}]}, "must have the text of a file of rules"),
        ({"rules": [{"name": "a", "content": "groups: []"}]}, "monitoring_rules[a] has no rule; give it one"),
        (
            {"rules": [{"name": "a", "content": UNKNOWN}]},
            "monitoring_rules[a] has rules over mlops_no_such_metric",
        ),
        ({"rules": [{"name": "a", "content": TWICE}]}, "Rule r is there twice with the same labels, in a; remove one"),
        (
            {"rules": [{"name": "a", "content": ALERT}, {"name": "b", "content": ALERT}]},
            "Rule Site is there twice with the same labels, in a and b; remove one, or give it a label.",
        ),
        ({"rules": [{"name": "a", "content": ALERT}] * 2}, "monitoring_rules has a twice"),
    ],
)
def test_what_is_refused(given, says):
    assert any(says in problem for problem in problems(**given))


@pytest.mark.parametrize(
    ("receiver", "says"),
    [
        ({"type": "webhook"}, "needs either url or url_file"),
        ({"type": "webhook", "url": "http://127.0.0.1/", "url_file": "/s/u"}, "needs either url or url_file"),
        ({"type": "webhook", "url": "http://a.example/x"}, "has no credential for another host; give credential_file"),
        ({"type": "webhook", "url": "http://127.0.0.1.evil.example/"}, "has no credential for another host"),
        ({"type": "webhook", "url": "http://u:p@a.example/"}, "without user and password"),
        ({"type": "webhook", "url": "http://127.0.0.1/", "username": "u"}, "has a username and needs credential_file"),
        ({"type": "slack", "channel": "#a"}, "needs credential_file to be told by slack"),
        ({"type": "pagerduty"}, "needs credential_file to be told by pagerduty"),
        ({"type": "pagerduty", "credential_file": "/k", "to": "a"}, "is told by pagerduty, which has no to"),
        ({"type": "email", "to": "a", "from": "b"}, "needs smarthost to be told by email"),
        (
            {"type": "email", "to": "a", "from": "b", "smarthost": "m:25"},
            "has no credential for a mail server of another",
        ),
        (
            {"type": "email", "to": "a", "from": "b", "smarthost": "m:25", "username": "u"},
            "needs both username and credential_file",
        ),
        ({"type": "pagerduty", "credential_file": "keys/k"}, "names keys/k; give absolute paths of files on the host"),
        ({"type": "pagerduty", "credential_file": "/k", "name": "a b"}, "cannot be its name"),
    ],
)
def test_a_receiver_that_is_refused(receiver, says):
    found = problems(receivers=[{"name": "r", **receiver}])
    assert any(problem.startswith(f"Receiver '{receiver.get('name', 'r')}' ") and says in problem for problem in found)


def test_an_address_in_a_file_is_not_for_bookworm():
    receivers = [{"name": "r", "type": "webhook", "url_file": "/s/u"}]
    (problem,) = problems(receivers=receivers, on=debian("bookworm"))
    assert problem == (
        "Receiver 'r' has url_file, which Alertmanager of bookworm does not read; give url, and as credential_file the "
        "file of a token."
    )
    assert problems(receivers=receivers) == ()


def test_another_distribution_is_refused():
    facts = {"distribution": "Ubuntu", "distribution_release": "noble", "os_family": "Debian"}
    (problem,) = built(on=platform("monitoring", facts)).problems
    assert problem == (
        "Packages of node_exporter are known for Debian bookworm, trixie and forky, and this host is Ubuntu noble; set "
        "monitoring_releases to the vendor's."
    )


def test_who_may_be_reached_by_others_is_the_users_word():
    assert problems(prometheus_address="0.0.0.0", allow_unauthenticated=True) == ()


def test_the_rules_of_the_role_are_evaluated_unless_they_are_turned_off():
    names = [file.name for file in rules.of_role()]
    found = server(default_rules=True)
    assert found.problems == ()
    assert read(found, paths.PROMETHEUS_YML)["rule_files"] == [f"{paths.RULES}/{name}.yml" for name in names]


@pytest.mark.parametrize(
    ("given", "hosts"),
    [
        ({"state": "present", "prometheus": True}, ["a", "b"]),
        ({"state": "present", "prometheus": False}, []),
        ({"state": "unmanaged", "prometheus": True}, []),
        ({"state": "absent", "prometheus": True}, []),
    ],
)
def test_only_a_prometheus_reads_variables_of_others(given, hosts):
    options = {**given, "targets": ["a"], "gateways": ["b", "a"], "address_variable": "ansible_host"}
    assert room.fleet(options) == (hosts, "ansible_host")
    assert bool(room.facts(options)) == (given["state"] == "present")


# Releases of the vendor

UBUNTU = platform("monitoring", {"distribution": "Ubuntu", "distribution_release": "noble", "os_family": "Debian"})


def release(part, version, **more):
    url = f"https://mirror.example.org/{part}-{version}.linux-amd64.tar.gz"
    return {"part": part, "version": version, "url": url, "sha256": "a" * 64, **more}


EVERY = [release("node_exporter", "1.10.2"), release("prometheus", "3.5.0"), release("alertmanager", "0.29.0")]


def started(found):
    units = [item for item in found.component["files"] if item["path"].endswith(".service")]
    return [item["template_vars"]["__monitoring"]["server"] for item in units]


def test_releases_take_no_package_and_any_distribution():
    found = server(on=UBUNTU, releases=EVERY)
    assert found.problems == ()
    assert found.component["packages"] == []
    assert [unit["name"] for unit in found.component["units"]] == list(paths.UNITS.values())
    assert started(found) == [
        "/opt/mlops.hosts/monitoring/node_exporter-1.10.2-aaaaaaaaaaaa/node_exporter",
        "/opt/mlops.hosts/monitoring/prometheus-3.5.0-aaaaaaaaaaaa/prometheus",
        "/opt/mlops.hosts/monitoring/alertmanager-0.29.0-aaaaaaaaaaaa/alertmanager",
    ]


def test_a_release_is_there_before_and_is_asked_for_with_the_rest():
    found = server(on=UBUNTU, releases=EVERY)
    assert [question.args["name"] for question in found.before] == ["node_exporter", "prometheus", "alertmanager"]
    assert found.before[1].args["programs"] == ["prometheus", "promtool"]
    assert [check.question for check in found.checks[:3]] == list(found.before)
    row = {"kind": "release", "item": "prometheus 3.5.0", "attribute": "version", "want": "3.5.0", "have": "absent"}
    assert found.checks[1].drift({"drift": [row]}) == [row]


def test_files_are_checked_and_read_by_the_tools_of_the_release():
    found = server(on=UBUNTU, releases=EVERY)
    tool = "/opt/mlops.hosts/monitoring/prometheus-3.5.0-aaaaaaaaaaaa/promtool"
    assert file(found, paths.PROMETHEUS_YML)["validate"][0] == tool
    read_back = plan.read(file(found, paths.PLAN)["content"], paths.PLAN)
    assert read_back.prometheus.tool == tool
    assert read_back.alertmanager.tool == "/opt/mlops.hosts/monitoring/alertmanager-0.29.0-aaaaaaaaaaaa/amtool"


@pytest.mark.parametrize(("version", "has"), [("2.53.4", False), ("3.0.0", True), ("3.10.1", True)])
def test_the_version_says_what_a_release_takes(version, has):
    found = server({"mon": host()}, on=UBUNTU, releases=[EVERY[0], release("prometheus", version), EVERY[2]])
    jobs = read(found, paths.PROMETHEUS_YML)["scrape_configs"]
    assert {"fallback_scrape_protocol" in job for job in jobs} == {has}


def test_parts_can_differ():
    found = server(releases=EVERY[1:2])
    assert [item["name"] for item in found.component["packages"]] == [
        "prometheus-node-exporter",
        "prometheus-alertmanager",
    ]
    assert [unit["name"] for unit in found.component["units"] if unit.get("state") == "unmanaged"] == [
        "prometheus-node-exporter.service",
        "prometheus-alertmanager.service",
    ]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"releases": EVERY[:2]}, "Packages of Alertmanager are known for Debian bookworm, trixie and forky, and this"),
        ({"releases": [*EVERY, EVERY[0]]}, "monitoring_releases has node_exporter 2 times; give it once."),
        (
            {"releases": [release("prometheus", "2.40.1"), EVERY[0], EVERY[2]]},
            "monitoring_releases[prometheus].version must be 2.42 or later, not 2.40.1.",
        ),
        (
            {"releases": [release("prometheus", "3.5.0", sha256="abc"), EVERY[0], EVERY[2]]},
            "monitoring_releases[prometheus].sha256 must be 64 digits of hexadecimal in small letters",
        ),
        (
            {
                "releases": [*EVERY[:2], release("alertmanager", "0.25.0")],
                "receivers": [{**HOOK, "url_file": "/etc/x"}],
            },
            "has url_file, which Alertmanager of release 0.25.0 does not read",
        ),
    ],
)
def test_releases_that_are_refused(given, says):
    assert any(says in problem for problem in server(on=UBUNTU, **given).problems)
