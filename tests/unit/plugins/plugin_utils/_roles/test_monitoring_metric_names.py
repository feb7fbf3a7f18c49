# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which metrics an expression reads, and which of them no known program has."""

from __future__ import annotations

import pathlib
import re

import pytest
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.monitoring import metric_names

DATA = pathlib.Path(metric_names.__file__).parent
PLUGINS = DATA.parents[3]


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        pytest.param("up", {"up"}, id="a name alone"),
        pytest.param('up{job="node", host=~"a|b"} == 0', {"up"}, id="labels and their values are none"),
        pytest.param("llamacpp:requests_deferred > 1e3", {"llamacpp:requests_deferred"}, id="colons are of the name"),
        pytest.param("rate(a_total[5m:1m] offset -1h)", {"a_total"}, id="functions and times are none"),
        pytest.param("sum by (host, le) (a) / sum(b) without (c)", {"a", "b"}, id="labels before and after"),
        pytest.param("SUM BY (host) (a) OR b", {"a", "b"}, id="keywords in capitals"),
        pytest.param("a * on (host, gpu) group_left (name) b", {"a", "b"}, id="matching"),
        pytest.param("a unless ignoring (x) b and c or d", {"a", "b", "c", "d"}, id="sets"),
        pytest.param('{__name__="a", host="b"}', {"a"}, id="the name as a label"),
        pytest.param('{host="b", __name__="a"}', {"a"}, id="the name as a later label"),
        pytest.param('{"a.b", host="c"}', {"a.b"}, id="a quoted name of Prometheus 3"),
        pytest.param('{__name__=~"a.*", host!="b"}', set(), id="a pattern is no name"),
        pytest.param('label_replace(a, "b", \'$1\', `c`, "(.+)")', {"a"}, id="three kinds of strings"),
        pytest.param('a{b="} c"}', {"a"}, id="a bracket in a string"),
        pytest.param("a # and b\n> bool 0", {"a"}, id="a comment"),
        pytest.param("a @ end() > Inf or b != NaN", {"a", "b"}, id="words for numbers"),
        pytest.param("max_over_time((count by (x) (a))[1d:5m])", {"a"}, id="a subquery"),
        pytest.param("sum(rate(a[5m]", {"a"}, id="what is not closed"),
        pytest.param("", set(), id="nothing"),
    ],
)
def test_names_that_an_expression_reads(expression, names):
    assert metric_names.used(expression) == names


def rule_file(*expressions, **records):
    rules = [{"alert": f"Rule{place}", "expr": text} for place, text in enumerate(expressions)]
    return {"groups": [{"rules": [*rules, *({"record": name, "expr": text} for name, text in records.items())]}]}


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        pytest.param(rule_file("mlops_gpu_health == 1"), [], id="known"),
        pytest.param(
            rule_file("mlops_gpu_helth == 1"),
            ["mlops_gpu_helth (rule Rule0; there is mlops_gpu_health)"],
            id="misspelt",
        ),
        pytest.param(
            rule_file("vllm:gpu_cache_usage_perc > 0.9", "llamacpp:kv_cache_usage_ratio > 0.9"),
            [
                "vllm:gpu_cache_usage_perc (rule Rule0; there is vllm:kv_cache_usage_perc)",
                "llamacpp:kv_cache_usage_ratio (rule Rule1)",
            ],
            id="names that programs had before",
        ),
        pytest.param(
            rule_file("vllm:e2e_request_latency_seconds_bucket", "vllm:e2e_request_latency_seconds"),
            [
                "vllm:e2e_request_latency_seconds (rule Rule1; there is vllm:e2e_request_latency_seconds_sum)",
            ],
            id="a histogram has no series of its own name",
        ),
        pytest.param(rule_file("our_own_metric > node_hwmon_temp_celsius"), [], id="others' namespaces"),
        pytest.param(rule_file("mlops_ours", mlops_ours="up"), [], id="recorded in the same file"),
        pytest.param(
            rule_file(**{"mlops:site_limit:first_token_second": "vector(2)"}),
            [
                "mlops:site_limit:first_token_second (rule mlops:site_limit:first_token_second; "
                "there is mlops:site_limit:first_token_seconds)"
            ],
            id="a limit that no rule reads",
        ),
        pytest.param(rule_file(**{"mlops:site_limit:first_token_seconds": "vector(2)"}), [], id="a limit"),
        pytest.param({}, [], id="empty"),
        pytest.param({"groups": [{"rules": None}, {"rules": [{}]}]}, [], id="groups without rules"),
    ],
)
def test_what_no_known_program_has(rules, says):
    assert metric_names.unknown_metrics(rules) == says


def test_all_namespaces_on_request():
    assert metric_names.unknown_metrics(rule_file("our_own_metric"), namespaces=("",)) == [
        "our_own_metric (rule Rule0)"
    ]


@pytest.mark.parametrize("path", sorted(DATA.glob("*.txt")), ids=lambda path: path.stem)
def test_each_file_says_its_source_and_its_versions(path):
    head, *lines = path.read_text().splitlines()
    source, versions = re.fullmatch(r"# (.+): ([\w. ]+)", head).groups()
    assert lines == sorted(lines), f"{path.name} is not sorted"
    for line in lines:
        name, kind, *has = line.split(" ")
        assert kind in ("counter", "gauge", "histogram", "summary", "untyped"), line
        assert set(has) < set(versions.split()), line


def test_what_our_programs_write_is_known():
    written = {
        name
        for program in ("_gpu_events", "_log_shipper", "_gpu_metrics")
        for path in (PLUGINS / "module_utils" / program).glob("*.py")
        for name in re.findall(
            r'"(mlops_(?:gpu|driver|cdi|certificate|store|model|log_shipper)_[a-z_]+)"', path.read_text()
        )
    }
    assert "mlops_gpu_events_total" in written
    assert written <= metric_names.known()


def test_what_is_read_of_vllm_is_on_its_page():
    """The page is that of vLLM 0.32.0 for CPUs, as it runs in scenario model_server_vllm; its sources declare more."""
    root = PLUGINS.parent
    page = dict(re.findall(r"(?m)^# TYPE (\S+) (\w+)$", (root / "tests/unit/data/vllm/0.32.0/metrics.txt").read_text()))
    readers = [*(root / "roles/monitoring/files/rules").glob("*.yml"), root / "tools/dashboards.yml"]
    read = {name for path in readers for name in re.findall(r"vllm:[a-z_]+", path.read_text())}
    assert len(read) > 5
    assert {re.sub("_bucket$", "", name) for name in read} <= page.keys()
    declared = dict(line.split()[:2] for line in (DATA / "vllm.txt").read_text().splitlines()[1:])
    both = page.keys() & declared.keys()
    assert {name: declared[name] for name in both if declared[name] not in (page[name], "untyped")} == {}
