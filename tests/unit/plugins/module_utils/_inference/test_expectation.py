# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Expectations mean on hosts what jmespath makes of them, and a gate that has one holds a server to it."""

from __future__ import annotations

import jmespath
import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.plugins.module_utils._inference.answer import Answer, Tensor, document
from ansible_collections.mlops.hosts.plugins.module_utils._inference.expectation import evaluate
from ansible_collections.mlops.hosts.plugins.module_utils._inference.question import Question
from ansible_collections.mlops.hosts.plugins.plugin_utils._jmespath import ExpressionError, Misfit, compiled, for_hosts
from hypothesis import given
from hypothesis import strategies as st

from .support import CHAT, OK, refusal, wait

TEXT = document(Answer("chat", 0.25, text="It is Paris", tokens=3, tokens_per_s=20.0, finish_reason="stop"))
TENSORS = document(Answer("net", 0.5, outputs=(Tensor("y", "FP32", (1, 10)), Tensor("z", "INT64", (2,)))))

EXPRESSIONS = [
    "ttft_s < `2` && tokens_per_s > `10`",
    "ttft_s <= `0.25` && ttft_s >= `0.25` && tokens != `4`",
    "tokens_per_s > `20`",
    "contains(text, 'Paris') && !contains(text, 'Rome')",
    "starts_with(text, 'It') || ends_with(text, 'Rome')",
    "finish_reason == 'stop'",
    "dimensions",
    "dimensions == `null`",
    "dimensions == `1024` || text",
    "no_such_key",
    "answered == `true`",
    "tokens == `true`",
    "text < 'Z'",
    "length(text)",
    "length(outputs)",
    "outputs",
    "outputs[0].shape[1] == `10`",
    "outputs[-1].name",
    "outputs[7].name",
    "outputs[*].name",
    "outputs[*].missing",
    "outputs[].shape[]",
    "max(outputs[].shape[])",
    "min(outputs[*].shape[0])",
    "sum(outputs[].shape[]) == `13`",
    "sum(outputs[*].missing)",
    "max(outputs[*].missing)",
    "outputs[?datatype=='FP32'].shape | [0]",
    "outputs[?shape[1] > `5`]",
    "contains(outputs[*].name, 'z')",
    "text[0]",
    "text[*]",
    "text[]",
    "@.text",
    "@",
    "'' || `0`",
    "`0` && text",
    "!`0`",
    "!''",
    "abs(`-2`)",
    '"text"',
]


@pytest.mark.parametrize("answer", [pytest.param(TEXT, id="text"), pytest.param(TENSORS, id="tensors")])
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_hosts_find_what_jmespath_finds(expression, answer):
    try:
        tree = for_hosts("expectation", expression)["tree"]
        desired = jmespath.search(expression, answer)
    except jmespath.exceptions.JMESPathTypeError:
        with pytest.raises(HostError, match=r"the function \w+ of the expectation cannot be called with"):
            evaluate(tree, answer)
    else:
        assert repr(evaluate(tree, answer)) == repr(desired)


def test_a_text_and_a_number_have_no_order():
    """In jmespath they have, for Python, which refuses it."""
    assert evaluate(for_hosts("expectation", "text < `2`")["tree"], TEXT) is None
    with pytest.raises(Misfit, match="not supported between instances of 'str' and 'int'"):
        compiled("expectation", "text < `2`").search(TEXT)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "a", "b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=8,
)
PARTS = st.sampled_from(["a", "b", "a.b", "a[0]", "b[*].a", "a[]", "@", "a[?b]", "[0]", "`1`", "'a'", "!a", "a | b"])
JOINED = st.builds("{0} {1} {2}".format, PARTS, st.sampled_from(["&&", "||", "==", "!=", "|"]), PARTS)


@given(st.one_of(PARTS, JOINED), VALUES)
def test_of_any_document(expression, value):
    tree = for_hosts("expectation", expression)["tree"]
    assert repr(evaluate(tree, value)) == repr(jmespath.search(expression, value))


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        pytest.param("tokens >", "is not a JMESPath expression", id="syntax"),
        pytest.param("{a: text}", "has a multi select dict, which is not evaluated on hosts", id="node"),
        pytest.param("text[0:2]", "has a slice, which is not evaluated on hosts", id="slice"),
        pytest.param("outputs[?sort(shape)]", "calls sort, which is not evaluated on hosts", id="function-inside"),
        pytest.param("length(keys(@)) > `2`", "calls keys, which is not evaluated on hosts", id="function"),
        pytest.param(7, "must be a JMESPath expression, not 7", id="number"),
    ],
)
def test_what_hosts_do_not_evaluate_is_refused_on_the_controller(expression, words):
    with pytest.raises(ExpressionError, match=words):
        for_hosts("gate.expectation", expression)


def expecting(server, expression):
    server.routes[CHAT] = [OK]
    return {"expectation": for_hosts("expectation", expression)}


def test_an_answer_that_is_as_expected_is_one(server):
    answer, _seconds, _time = wait(Question(server.url, **expecting(server, "text == 'Hi you' && tokens == `3`")))
    assert answer.text == "Hi you"


def test_an_answer_that_is_not_as_expected_is_asked_for_again_and_is_none(server):
    error = refusal(server, **expecting(server, "contains(text, 'Paris')"))
    assert str(error).endswith("answers, and not as expected: the value of contains(text, 'Paris') is false")
    assert (error.curable, error.repeats) == (True, True)


def test_an_expectation_that_does_not_fit_the_answer_is_said(server):
    with pytest.raises(HostError, match="the function length of the expectation cannot be called with"):
        wait(Question(server.url, **expecting(server, "length(dimensions)")))


def test_text_is_no_expectation_of_a_host():
    with pytest.raises(HostError, match="is parsed by the action plugin; call the module by its full name"):
        Question("http://127.0.0.1:1", expectation="text")
