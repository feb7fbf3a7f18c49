# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Evaluates what is expected of the answer here, so that hosts need no JMESPath."""

from __future__ import annotations

import json
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ..plugin_utils._jmespath import ExpressionError, compiled


class ActionModule(ActionBase):
    _supports_check_mode = True
    _supports_async = True
    _supports_diff = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        expect = arguments.pop("expect", None)
        search = None if expect is None else _compiled(expect)
        if search is not None and self._task.async_val:
            raise AnsibleActionFail("expect cannot be evaluated with async: there is no answer yet")
        result.update(
            self._execute_module(
                module_name="mlops.hosts.model_probe",
                module_args=arguments,
                task_vars=task_vars,
                wrap_async=self._task.async_val,
            )
        )
        if search is None or not result.get("answered"):
            return result
        value = search(_plain(result))
        result["expectation"] = {"expression": expect, "value": value}
        if not value:
            result["failed"] = True
            result["msg"] = f"the answer does not meet {expect}: the value is {json.dumps(value)}"
        return result


def _compiled(expect: t.Any) -> t.Callable[[t.Any], t.Any]:
    """Before the host is asked: a mistake in the expression must not cost a long wait."""
    try:
        expression = compiled("expect", expect)
    except ExpressionError as exc:
        raise AnsibleActionFail(str(exc)) from exc

    def search(document: t.Any) -> t.Any:
        try:
            return expression.search(document)
        except ExpressionError as exc:
            raise AnsibleActionFail(f"expect cannot be evaluated over the answer: {exc}") from exc

    return search


def _plain(value: t.Any) -> t.Any:
    """Without the tags of ansible-core: jmespath knows types by their exact name."""
    return json.loads(json.dumps(value))
