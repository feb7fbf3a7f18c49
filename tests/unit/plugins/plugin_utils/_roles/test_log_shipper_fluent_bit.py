# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Fluent Bit is told. Its configurations are checked by a table of ours, and never run.

What its own dry run lets through, and what of it cannot be built here (``facts`` of 5.1.1, by number of the test):

- held by the checker's table: an unknown key of ``service``, words of ``tls``, ``retry_limit`` of another kind, a port
  that is no number, formats that it would replace, an HTTP server on all addresses, a reload
- held by the checker's graph: no input, no output, a ``match`` that hits nothing, an output without ``match``, a
  variable that is not set, the same name twice, parsers (there are none)
- held by what is written: memory storage, ``tls`` without the name, a CA without ``tls``, an output to a directory that
  is not there, a file name without ``.yaml``
- held by the role, whatever the program: certificates that are not there, a port that is taken (it does not start)
- not held: a host that does not resolve, which waits for the name; a file that cannot be read
"""

from __future__ import annotations

import copy
import re

import pytest
import yaml
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.log_shipper import pipeline
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.log_shipper.build import build
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.log_shipper.shippers.fluent_bit import (
    PORT,
    SCRIPT,
    FluentBit,
    lua,
    lua_pattern,
)
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.platform import platform

from tests.unit import shipper_grammar as grammar
from tests.unit import shipper_grammar_fluent_bit as checker

DEBIAN = platform("log_shipper", {"distribution": "Debian", "distribution_release": "trixie", "os_family": "Debian"})
ROW = DEBIAN.known["shippers"]["fluent_bit"]
CASES = grammar.cases(FluentBit.sources, ROW["sinks"], FluentBit.when_full)


def built(**options):
    return build({"state": "present", "provider": "fluent_bit", **options}, DEBIAN)


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
    "nothing-at-all": ({"pipeline": lambda parts: parts.clear()}, "there is no input or no output"),
}


@pytest.mark.parametrize(("change", "says"), MUTANTS.values(), ids=list(MUTANTS))
def test_the_checker_objects(change, says):
    assert says in checker.complaints(changed(**change))


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
    assert component["ready"][-1] == {
        "http": f"http://127.0.0.1:{PORT}/api/v2/health",
        "unit": pipeline.UNIT,
        "timeout_s": 20,
    }
    assert [package["name"] for package in component["packages"]] == ["fluent-bit"]
    assert component["repositories"] == []


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
