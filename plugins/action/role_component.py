# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the component of a role from its variables here, and converges a host that differs."""

from __future__ import annotations

import contextlib
import importlib
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean

from ..plugin_utils._roles import variables
from ..plugin_utils._roles.built import Built, Data, Decision, Question
from ..plugin_utils._roles.platform import Platform, platform
from . import component
from .platform_facts import gather

AUDIT = "mlops_hosts_audit"
_ROOMS = "..plugin_utils._roles"
_NOTHING = {"changed": False, "component": None, "drift": [], "pending": [], "verify": None, "rest": None}


class ActionModule(component.ActionModule):
    """Controller side of M(mlops.hosts.role_component)."""

    _VALID_ARGS = frozenset({"role"})

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super(component.ActionModule, self).run(tmp, task_vars)
        task_vars = task_vars or {}
        # What later tasks need to know of this host, from whatever is run for this task.
        self._facts: dict[str, t.Any] = {}
        result = self._role(str(self._task.args.get("role")), task_vars)
        return {**result, "ansible_facts": self._facts} if self._facts else result

    def _role(self, role: str, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        room = importlib.import_module(f"{_ROOMS}.{role}.build", __package__)
        found = variables.read(role, task_vars, self._templar.template)
        self._refuse(found.problems)
        options = found.options
        self._borrow(role, room, options, task_vars)
        known = self._platform(role, room.facts(options), task_vars)
        dry_run = self._dry_run(task_vars)
        answers = self._answers(room.asks(options) if hasattr(room, "asks") else (), dry_run, task_vars)
        built: Built = room.build(options, known, *answers)
        self._refuse(built.problems)
        result: dict[str, t.Any] = {**_NOTHING, **built.published, "dry_run": dry_run}
        done_before = [self._ask(module, task_vars).get("changed") for module in built.before]
        if built.component is not None:
            result.update(self._converge(built, dry_run, task_vars))
        result["changed"] = bool(result["changed"] or any(done_before) or (built.differs and dry_run))
        diffs = [answer["diff"] for answer in answers if answer.get("diff")] if dry_run and self._task.diff else []
        if diffs:
            result["diff"] = [*diffs, *result.get("diff", ())]
        told = [item["why"] for item in result["pending"]]
        if not (result.get("failed") or result["pending"]):
            result["rest"] = built.rest(result["changed"], dry_run)
            if not dry_run and (result["changed"] or options.get("verify") == "always"):
                result["verify"] = built.verify
                if built.confirm:
                    self._refuse(built.confirm.lost(self._ask(built.confirm.question, task_vars)))
            if result["rest"] is None:  # nothing follows that could end the wait
                told += [item["why"] for item in built.pending]
        result["pending"] = [*result["pending"], *built.pending]
        warnings = [*found.warnings, *built.notices, *result.get("warnings", ()), *told]
        return {**result, "warnings": warnings} if warnings else result

    def _answers(
        self, asked: Question | t.Sequence[Question] | None, dry_run: bool, task_vars: dict[str, t.Any]
    ) -> list[dict[str, t.Any]]:
        questions = [asked] if isinstance(asked, Question) else asked or ()
        with self._reading(dry_run):
            return [self._ask(question, task_vars) for question in questions]

    def _borrow(self, role: str, room: t.Any, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> None:
        lenders = room.borrows(options) if hasattr(room, "borrows") else {}
        for noun, lender in lenders.items():
            options[noun], problems = variables.borrow(
                role, noun, options[noun], lender, task_vars, self._templar.template
            )
            self._refuse(problems)

    def _refuse(self, problems: t.Sequence[str]) -> None:
        if problems:
            raise AnsibleActionFail(" ".join(problems))

    def _dry_run(self, task_vars: dict[str, t.Any]) -> bool:
        """An audit is one without --check, too."""
        audit = self._templar.template(task_vars.get(AUDIT, False))
        return bool(self._task.check_mode) or boolean(audit, strict=False)

    def _platform(self, role: str, needed: t.Sequence[str], task_vars: dict[str, t.Any]) -> Platform:
        if not needed:
            return Platform()
        facts = dict(task_vars.get("ansible_facts") or {})
        if any(facts.get(name) is None for name in needed):
            gathered = _answer(gather(self, task_vars), "mlops.hosts.platform_facts")
            self._facts.update(gathered["ansible_facts"])
            facts.update({name.removeprefix("ansible_"): value for name, value in gathered["ansible_facts"].items()})
        return platform(role, facts)

    def _converge(self, built: Built, dry_run: bool, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """A host that is right costs one question. Of one that is to change more is asked before it changes."""
        args = self.prepared(dict(built.component or {}), task_vars)
        with self._reading(dry_run):
            compared = self.fast_check(args, task_vars)
            if compared is not None:
                return compared
            compared = self.ensure(args, task_vars, remember=dry_run)
        if compared.get("failed"):
            return compared
        decision = self._decision(built, compared, dry_run, task_vars)
        self._refuse(decision.conflicts)
        if dry_run:
            return {**compared, "changed": bool(compared["drift"]), "pending": list(decision.pending)}
        if decision.pending or (not compared["drift"] and compared["recovered"] == "none"):
            return {**compared, "changed": False, "pending": list(decision.pending)}
        return self.ensure(self.prepared(dict(decision.component or built.component or {}), task_vars), task_vars)

    def _decision(self, built: Built, compared: Data, dry_run: bool, task_vars: dict[str, t.Any]) -> Decision:
        if not (compared["drift"] and built.question):
            return Decision()
        with self._reading(dry_run):
            answer = self._ask(built.question, task_vars)
        if built.decide:
            return built.decide(answer, compared, dry_run)
        return Decision(tuple(built.conflicts(answer, compared, dry_run)))

    @contextlib.contextmanager
    def _reading(self, dry_run: bool) -> t.Iterator[None]:
        """Check mode. Of a run that changes something, what is done shows the diff."""
        before = self._task.check_mode, self._task.diff
        self._task.check_mode, self._task.diff = True, self._task.diff and dry_run
        try:
            yield
        finally:
            self._task.check_mode, self._task.diff = before

    def _ask(self, question: Question, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        args = dict(question.args)
        result = self._execute_module(module_name=question.module, module_args=args, task_vars=task_vars)
        if question.tolerates and result.get(question.tolerates):
            return result
        return _answer(result, question.module)

    def _execute_module(self, *args: t.Any, **keywords: t.Any) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super()._execute_module(*args, **keywords)
        # The interpreter that was discovered is one.
        self._facts.update(result.get("ansible_facts", {}))
        return result


def _answer(result: dict[str, t.Any], module: str) -> dict[str, t.Any]:
    if result.get("failed"):
        # Arguments repeat what the site configured, passwords of registries among it: they are not shown.
        shown = {key: value for key, value in result.items() if key != "invocation"}
        raise AnsibleActionFail(str(result.get("msg") or f"{module} failed"), result=shown)
    return result
