# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""JMESPath expressions of users. The library is needed by nobody else."""

from __future__ import annotations

import dataclasses
import json
import typing as t

from ..module_utils._inference.expectation import FUNCTIONS, NODES


class ExpressionError(Exception):
    """In a sentence without an end: what is wrong with the option."""


class Misfit(ExpressionError):
    """A function was given what it does not take, which is a matter of the document."""


@dataclasses.dataclass(frozen=True)
class Expression:
    """``search`` raises ExpressionError, and Misfit where another document could fit."""

    text: str
    tree: t.Mapping[str, t.Any]
    search: t.Callable[[t.Any], t.Any]


def compiled(name: str, expression: t.Any) -> Expression:
    """``name`` of the option, for messages."""
    try:
        import jmespath
        from jmespath import exceptions
    except ImportError as exc:
        raise ExpressionError(
            f"{name} needs the Python library jmespath on the controller; install it where ansible-core is installed"
        ) from exc
    if not isinstance(expression, str):
        raise ExpressionError(f"{name} must be a JMESPath expression, not {expression!r}")
    # jmespath knows types by their exact name, and Ansible's text has one of its own.
    text = str(json.loads(json.dumps(expression)))
    try:
        found = jmespath.compile(text)
    except exceptions.JMESPathError as exc:
        raise ExpressionError(f"{name} is not a JMESPath expression: {exc}") from exc

    def search(document: t.Any) -> t.Any:
        try:
            return found.search(document)
        except exceptions.JMESPathError as exc:
            kind = Misfit if isinstance(exc, exceptions.JMESPathTypeError) else ExpressionError
            raise kind(str(exc)) from exc
        except TypeError as exc:  # a text is compared with a number
            raise Misfit(str(exc)) from exc

    return Expression(text, found.parsed, search)


def for_hosts(name: str, expression: t.Any) -> dict[str, t.Any]:
    """The expression with its tree, for hosts, which evaluate a part of the language themselves."""
    found = compiled(name, expression)
    for node in _nodes(found.tree):
        if node["type"] not in NODES:
            kind = str(node["type"]).replace("_", " ")
            raise ExpressionError(
                f"{name} {found.text!r} has a {kind}, which is not evaluated on hosts; use names, indexes, [*], "
                "[?...], comparisons, &&, || and !"
            )
        if node["type"] == "function_expression" and node["value"] not in FUNCTIONS:
            raise ExpressionError(
                f"{name} {found.text!r} calls {node['value']}, which is not evaluated on hosts; functions there are "
                f"{', '.join(FUNCTIONS)}"
            )
    return {"text": found.text, "tree": dict(found.tree)}


def _nodes(node: t.Mapping[str, t.Any]) -> t.Iterator[t.Mapping[str, t.Any]]:
    yield node
    for child in node["children"]:
        if isinstance(child, dict):  # of a slice, these are numbers
            yield from _nodes(child)
