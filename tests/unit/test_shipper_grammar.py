# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A checker that cannot fail is none: what it has to object to, it objects to."""

from __future__ import annotations

import pytest

from tests.unit import shipper_grammar as grammar
from tests.unit.shipper_grammar import Graph, Node, Option, Used

KNOWN = {
    "sink.url": Option("sink.url", "1", "docs", pattern="https?://.*"),
    "sink.tls": Option("sink.tls", "1", "docs", values=("on", "off")),
    "sink.note": Option("sink.note", "1", "docs"),
}


def test_an_option_has_to_be_in_the_table_with_a_value_that_it_may_have():
    good = [Used("a", "sink.url", "http://x"), Used("a", "sink.tls", "on"), Used("a", "sink.note", "x\ny")]
    assert grammar.wrong_options(good, KNOWN) == []
    bad = [Used("a", "sink.uri", "http://x"), Used("b", "sink.url", "x"), Used("c", "sink.tls", "true")]
    assert grammar.wrong_options(bad, KNOWN) == [
        "a: unknown option sink.uri",
        "b: sink.url cannot be 'x'",
        "c: sink.tls cannot be 'true'",
    ]


IN, MIDDLE, OUT = Node("in", "input"), Node("middle", "middle"), Node("out", "output")
WHOLE = (("in", "middle"), ("middle", "out"))


@pytest.mark.parametrize(
    ("graph", "says"),
    [
        pytest.param(Graph((IN, MIDDLE, OUT), WHOLE, ("x",), ("x",)), [], id="closed"),
        pytest.param(
            Graph((IN, MIDDLE, OUT), WHOLE, ("x",)), ["x is referred to and not defined"], id="an-undefined-parser"
        ),
        pytest.param(
            Graph((IN, MIDDLE, OUT), WHOLE, (), ("x",)), ["x is defined and not used"], id="a-parser-for-nothing"
        ),
        pytest.param(
            Graph((IN, MIDDLE, OUT), (*WHOLE, ("ni", "out"))), ["ni is referred to and not defined"], id="a-typo"
        ),
        pytest.param(Graph((IN, IN, MIDDLE, OUT), WHOLE), ["in is defined twice"], id="a-name-twice"),
        pytest.param(
            Graph((IN, MIDDLE, OUT), (("in", "out"),)),
            ["middle middle leads nowhere", "middle middle gets nothing"],
            id="a-step-beside-the-way",
        ),
        pytest.param(
            Graph((IN, MIDDLE, OUT), (("middle", "out"),)),
            [
                "input in leads nowhere",
                "middle middle gets nothing",
                "input in reaches no output",
                "no input reaches out",
            ],
            id="an-input-that-nobody-takes",
        ),
        pytest.param(
            Graph((IN, OUT, Node("idle", "output")), (("in", "out"),)),
            ["output idle gets nothing"],
            id="an-output-without-input",
        ),
        pytest.param(
            Graph((IN, OUT, Node("a", "middle"), Node("b", "middle")), (("in", "out"), ("a", "b"), ("b", "a"))),
            ["no input reaches a", "no input reaches b"],
            id="a-circle-that-nothing-enters",
        ),
        pytest.param(
            Graph((IN, MIDDLE, OUT), (("in", "middle"), ("middle", "middle"))),
            ["output out gets nothing", "input in reaches no output"],
            id="a-way-that-ends-in-a-circle",
        ),
        pytest.param(Graph((), ()), ["there is no input or no output"], id="nothing"),
    ],
)
def test_a_graph_that_is_not_closed_is_said(graph, says):
    assert grammar.wrong_graph(graph) == says


def test_a_golden_file_that_differs_or_is_missing_is_said(tmp_path, monkeypatch):
    monkeypatch.delenv("MLOPS_FREEZE", raising=False)
    path = tmp_path / "new" / "journald-loki.yaml"
    with pytest.raises(AssertionError, match="is missing"):
        grammar.golden(path, "a")
    monkeypatch.setenv("MLOPS_FREEZE", "1")
    grammar.golden(path, "a")
    monkeypatch.delenv("MLOPS_FREEZE")
    grammar.golden(path, "a")
    with pytest.raises(AssertionError, match="another one"):
        grammar.golden(path, "b")


def test_a_golden_file_of_a_case_that_is_gone_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(grammar, "DATA", tmp_path)
    (tmp_path / "x").mkdir()
    for name in ("options.yaml", "kernel-loki.yaml", "kernel-syslog_tls.yaml"):
        (tmp_path / "x" / name).write_text("")
    assert grammar.strays("x", "yaml", ["kernel-loki"]) == ["kernel-syslog_tls"]


@pytest.mark.parametrize("missing", ["version", "source"])
def test_a_fact_without_version_or_source_is_none(tmp_path, monkeypatch, missing):
    monkeypatch.setattr(grammar, "DATA", tmp_path)
    (tmp_path / "x").mkdir()
    given = {"version": "1", "source": "docs", "options": "{a.b: }"}
    (tmp_path / "x" / "options.yml").write_text(
        "- {" + ", ".join(f"{k}: {v}" for k, v in given.items() if k != missing) + "}"
    )
    with pytest.raises(AssertionError):
        grammar.table("x")
