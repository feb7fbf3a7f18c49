# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Evaluates an expectation of an answer on the host. Pure.

An expectation is a JMESPath expression, which the controller parses: hosts have no jmespath. ``tree`` is what its
parser makes of it, of the nodes in ``NODES`` and the functions in ``FUNCTIONS``. The controller refuses others.
"""

from __future__ import annotations

import typing as t

from .._errors import HostError

Node = t.Mapping[str, t.Any]


def evaluate(tree: Node, document: t.Any) -> t.Any:
    """The value of the expression. HostError when a function is given what it does not take."""
    return NODES[tree["type"]](tree, document)


def _true(value: t.Any) -> bool:
    """As JMESPath has it: zero is true."""
    return value not in ("", [], {}, None) and value is not False


def _child(node: Node, place: int, value: t.Any) -> t.Any:
    return evaluate(node["children"][place], value)


def _field(node: Node, value: t.Any) -> t.Any:
    return value.get(node["value"]) if isinstance(value, dict) else None


def _index(node: Node, value: t.Any) -> t.Any:
    place = node["value"]
    return value[place] if isinstance(value, list) and -len(value) <= place < len(value) else None


def _chain(node: Node, value: t.Any) -> t.Any:
    for child in node["children"]:
        value = evaluate(child, value)
    return value


def _compare(node: Node, value: t.Any) -> bool | None:
    left, right = _child(node, 0, value), _child(node, 1, value)
    how = node["value"]
    if how in ("eq", "ne"):
        same = isinstance(left, bool) == isinstance(right, bool) and left == right
        return same if how == "eq" else not same
    if not (_number(left) and _number(right)) and not (isinstance(left, str) and isinstance(right, str)):
        return None  # of what has no order, such as a speed that is not known
    return bool({"lt": left < right, "lte": left <= right, "gt": left > right, "gte": left >= right}[how])


def _and(node: Node, value: t.Any) -> t.Any:
    left = _child(node, 0, value)
    return _child(node, 1, value) if _true(left) else left


def _or(node: Node, value: t.Any) -> t.Any:
    left = _child(node, 0, value)
    return left if _true(left) else _child(node, 1, value)


def _projection(node: Node, value: t.Any) -> list[t.Any] | None:
    base = _child(node, 0, value)
    if not isinstance(base, list):
        return None
    if node["type"] == "filter_projection":
        base = [one for one in base if _true(_child(node, 2, one))]
    found = (_child(node, 1, one) for one in base)
    return [one for one in found if one is not None]


def _flatten(node: Node, value: t.Any) -> list[t.Any] | None:
    base = _child(node, 0, value)
    if not isinstance(base, list):
        return None
    return [inner for one in base for inner in (one if isinstance(one, list) else [one])]


def _call(node: Node, value: t.Any) -> t.Any:
    given = [evaluate(child, value) for child in node["children"]]
    counts, takes, does = FUNCTIONS[node["value"]]
    if len(given) != counts or not takes(*given):
        shown = ", ".join(str(one)[:80] for one in given)
        raise HostError(f"the function {node['value']} of the expectation cannot be called with ({shown})")
    return does(*given)


def _number(value: t.Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _texts(*values: t.Any) -> bool:
    return all(isinstance(value, str) for value in values)


def _numbers(value: t.Any) -> bool:
    return isinstance(value, list) and all(map(_number, value))


NODES: t.Mapping[str, t.Callable[[Node, t.Any], t.Any]] = {
    "field": _field,
    "index": _index,
    "index_expression": _chain,
    "subexpression": _chain,
    "pipe": _chain,
    "current": lambda _node, value: value,
    "identity": lambda _node, value: value,
    "literal": lambda node, _value: node["value"],
    "comparator": _compare,
    "and_expression": _and,
    "or_expression": _or,
    "not_expression": lambda node, value: not _true(_child(node, 0, value)),
    "projection": _projection,
    "filter_projection": _projection,
    "flatten": _flatten,
    "function_expression": _call,
}

# How many arguments, whether it takes these, and what it makes of them.
FUNCTIONS: t.Mapping[str, tuple[int, t.Callable[..., bool], t.Callable[..., t.Any]]] = {
    "abs": (1, _number, abs),
    "contains": (
        2,
        lambda within, what: isinstance(within, list) or _texts(within, what),
        lambda within, what: what in within,
    ),
    "ends_with": (2, _texts, lambda text, end: text.endswith(end)),
    "length": (1, lambda value: isinstance(value, (str, list, dict)), len),
    "max": (1, _numbers, lambda numbers: max(numbers, default=None)),
    "min": (1, _numbers, lambda numbers: min(numbers, default=None)),
    "starts_with": (2, _texts, lambda text, start: text.startswith(start)),
    "sum": (1, _numbers, sum),
}
