# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The gate: an expression over the document that decides whether the audit is a finding."""

from __future__ import annotations

import typing as t

from .. import _jmespath
from .document import Document

# Evaluated without jmespath, which nobody needs for it.
DEFAULT = "hosts[?drift || state=='drift']"
# One host of each kind, with every key: what an expression is tried on before the audit starts.
_GPU = {"vendor": "nvidia", "index": 0, "name": "GPU", "memory_total_mib": 1, "health": "ok", "health_reasons": ["x"]}
_COMPONENT = {"name": "x", "role": "x", "state": "drift", "reason": "x", "reboot_required": False}
_SAMPLE: Document = {
    "version": 1,
    "started": "",
    "ended": "",
    "controller": "",
    "playbook": "",
    "summary": {},
    "hosts": [
        {
            "name": "x",
            "state": "drift",
            "reason": "x",
            "components": [_COMPONENT],
            "drift": [
                {"component": "x", "kind": "file", "item": "x", "attribute": "content", "want": "x", "have": "x"}
            ],
            "gpus": [_GPU],
            "gpu_count": 1,
            "gpu_expected": 1,
            "driver": {"version": "1", "cuda_version": "1"},
        }
    ],
}


class GateError(Exception):
    """The expression cannot be used; the text is for a person."""


class Gate:
    """A checked expression."""

    def __init__(self, expression: t.Any = DEFAULT) -> None:
        """Raises GateError when the expression is none, with its place in the text."""
        self.expression = expression
        self._search = _native if expression == DEFAULT else _compiled(expression)

    def matches(self, document: Document) -> bool:
        """Whether it finds anything. Raises GateError where it does not fit the document."""
        return bool(self._search(document))


def _native(document: Document) -> t.Any:
    return [host for host in document["hosts"] if host["drift"] or host["state"] == "drift"]


def _compiled(expression: t.Any) -> t.Callable[[Document], t.Any]:
    try:
        compiled = _jmespath.compiled("audit_fail_on", expression)
    except _jmespath.ExpressionError as exc:
        raise GateError(str(exc)) from exc
    try:
        compiled.search(_SAMPLE)
    except _jmespath.Misfit:
        pass  # it may fit the values of the real document
    except _jmespath.ExpressionError as exc:
        raise GateError(f"audit_fail_on {compiled.text!r} cannot be evaluated: {exc}") from exc

    def search(document: Document) -> t.Any:
        try:
            return compiled.search(document)
        except _jmespath.ExpressionError as exc:
            raise GateError(f"audit_fail_on {compiled.text!r} cannot be evaluated over this audit: {exc}") from exc

    return search
