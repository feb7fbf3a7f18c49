# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the component of a role from its variables here, and converges a host that differs."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import pathlib
import typing as t

from ansible import constants as C
from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean

from ..plugin_utils._roles import mirror as mirrors
from ..plugin_utils._roles import templates, variables
from ..plugin_utils._roles.built import Built, Check, Data, Decision, Question
from ..plugin_utils._roles.platform import ROLES, load_all, platform
from . import cdi_info, component
from .platform_facts import gather

AUDIT = "mlops_hosts_audit"
PLATFORM = Question("mlops.hosts.platform_facts", {})
Answer = dict[str, t.Any]
# A module and its arguments.
Asked = tuple[str, t.Mapping[str, t.Any]]
# What a check found, None where only the role's own tasks can tell.
Checked = t.Sequence[tuple[Check, "Answer | None"]]
_NOTHING = {"changed": False, "component": None, "drift": [], "pending": [], "verify": None, "rest": None}
# Every task is a fork of the process that loads this: what is loaded here is not loaded again by each of them.
ROOMS: dict[str, t.Any] = {
    path.parent.name: importlib.import_module(f"..plugin_utils._roles.{path.parent.name}.build", __package__)
    for path in sorted(pathlib.Path(variables.__file__).parent.glob("*/build.py"))
}
for _name in ROOMS:
    variables.specification(_name)
    load_all(_name)
    if hasattr(ROOMS[_name], "PROGRAM"):
        ROOMS[_name].PROGRAM.sources()


@dataclasses.dataclass(frozen=True)
class Role:
    """A role with its options. ``facts``: those of Ansible that it needs and that are known.

    ``questions``: what must be asked before its component can be built.
    """

    name: str
    room: t.Any
    options: t.Mapping[str, t.Any]
    warnings: tuple[str, ...]
    facts: Data
    questions: tuple[Question, ...]
    mirror: mirrors.Mirror | None = None

    def build(self, answers: t.Sequence[Answer]) -> Built:
        """``answers``: to its questions, in order. Facts that were gathered are those of Ansible."""
        facts, rest = dict(self.facts), list(answers)
        if PLATFORM in self.questions:
            found = rest.pop(0)["ansible_facts"]
            facts.update({name.removeprefix("ansible_"): value for name, value in found.items()})
        built = t.cast("Built", self.room.build(self.options, platform(self.name, facts), *rest))
        return self.mirror.apply(built, facts) if self.mirror else built

    @property
    def is_absent(self) -> bool:
        return bool(self.options.get("state") == "absent")

    def rest(self, built: Built, checked: Checked, dry_run: bool, *, changed: bool = False) -> Data | None:
        """What is left to the role's other tasks."""
        verifies = self.options.get("verify") == "always" and not dry_run
        if built.checks and not (changed or verifies or differing(checked)):
            return None
        return built.rest(changed, dry_run)

    def nothing(self, built: Built, checked: Checked, dry_run: bool) -> Answer:
        """The result for a host where nothing differs."""
        asked: dict[str, Answer] = {}
        for check, answer in checked:
            if answer is not None:
                earlier = asked.get(check.question.module, {"drift": []})["drift"]
                rows = [*earlier, *check.drift(answer)]
                asked[check.question.module] = {"changed": bool(rows), "drift": rows}
        published = {**built.published, "asked": {**built.published.get("asked", {}), **asked}}
        return {**_NOTHING, **published, "state": self.options.get("state"), "dry_run": dry_run}


def differing(checked: Checked) -> bool:
    """Whether something differs, or could."""
    return any(answer is None or check.drift(answer) for check, answer in checked)


def noticed(checked: Checked) -> list[str]:
    """What the checks say that is no difference."""
    return [sentence for check, answer in checked if answer is not None for sentence in check.notices(answer)]


class ActionModule(component.ActionModule):
    """Controller side of M(mlops.hosts.role_component)."""

    _VALID_ARGS = frozenset({"role"})
    # Whose templates and files are meant, wherever the task stands.
    _of_role: str | None = None

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super(component.ActionModule, self).run(tmp, task_vars)
        return self._with_facts(self._role(variables.plain(self._task.args.get("role")), task_vars or {}))

    def _role(self, name: str, task_vars: dict[str, t.Any], *, all_checks: bool = False) -> dict[str, t.Any]:
        """``all_checks``: of a host that differs, too, for which the role's other tasks are not run."""
        role, dry_run = self._read(name, task_vars), self._dry_run(task_vars)
        with self._reading(dry_run):
            answers = self._answers(role.questions, task_vars)
        built = role.build(answers)
        self._refuse(built.problems)
        done_before = [self._ask(module, task_vars).get("changed") for module in built.before]
        converged, checked = self._converge(name, built, dry_run, task_vars, all_checks=all_checks)
        result: dict[str, t.Any] = {**role.nothing(built, checked, dry_run), **converged}
        result["changed"] = bool(result["changed"] or any(done_before) or (built.differs and dry_run))
        diffs = [answer["diff"] for answer in answers if answer.get("diff")] if dry_run and self._task.diff else []
        if diffs:
            result["diff"] = [*diffs, *result.get("diff", ())]
        told = [item["why"] for item in result["pending"]]
        if not (result.get("failed") or result["pending"]):
            result["rest"] = role.rest(built, checked, dry_run, changed=result["changed"])
            if not dry_run and (result["changed"] or role.options.get("verify") == "always"):
                result["verify"] = built.verify
                if built.confirm:
                    self._refuse(built.confirm.lost(self._ask(built.confirm.question, task_vars)))
            if result["rest"] is None:  # nothing follows that could end the wait
                told += [item["why"] for item in built.pending]
        result["pending"] = [*result["pending"], *built.pending]
        warnings = [*role.warnings, *built.notices, *noticed(checked), *result.get("warnings", ()), *told]
        return {**result, "warnings": warnings} if warnings else result

    def _read(self, name: str, task_vars: dict[str, t.Any]) -> Role:
        """Refuses variables that have no meaning."""
        if name not in ROOMS:
            raise AnsibleActionFail(f"mlops.hosts has no role {name}; it has {', '.join(ROOMS)}")
        room = ROOMS[name]
        # The role's defaults are not among the variables of a task that stands elsewhere, and can name each other.
        known = {**variables.defaults(name), **task_vars}
        found = variables.read(name, task_vars, self._templar.copy_with_new_env(available_variables=known).template)
        self._refuse(found.problems)
        options = found.options
        self._borrow(name, room, options, task_vars)
        if hasattr(room, "reads"):
            options["others"] = {
                lender: self._theirs(lender, nouns, task_vars) for lender, nouns in room.reads(options).items()
            }
        if hasattr(room, "fleet"):
            names, address = room.fleet(options)
            options["fleet"] = self._fleet(names, address, room.FLEET, task_vars)
        needed, facts = room.facts(options), task_vars.get("ansible_facts") or {}
        if found.mirror:
            needed = tuple(dict.fromkeys((*needed, *mirrors.FACTS)))
        asked = room.asks(options) if hasattr(room, "asks") else None
        return Role(
            name=name,
            room=room,
            options=options,
            warnings=found.warnings,
            facts=facts if needed else {},
            questions=(
                *((PLATFORM,) if any(facts.get(fact) is None for fact in needed) else ()),
                *((asked,) if isinstance(asked, Question) else asked or ()),
            ),
            mirror=found.mirror,
        )

    def _answers(self, questions: t.Sequence[Question], task_vars: dict[str, t.Any]) -> list[Answer]:
        """In one round trip where the host can be asked so."""
        fast = self.fast_checks([(question.module, question.args) for question in questions], task_vars)
        answers = [
            self._ask(question, task_vars) if answer is None else _answer(question, answer)
            for question, answer in zip(questions, fast)
        ]
        for answer in answers:
            self._facts.update(answer.get("ansible_facts", {}))
        return answers

    def _borrow(self, role: str, room: t.Any, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> None:
        lenders = room.borrows(options) if hasattr(room, "borrows") else {}
        for noun, lender in lenders.items():
            options[noun], problems = variables.borrow(
                role, noun, options[noun], lender, task_vars, self._templar.template
            )
            self._refuse(problems)

    def _theirs(self, lender: str, nouns: t.Iterable[str], task_vars: dict[str, t.Any]) -> Data | None:
        """What another role is to have on this host, None where it is absent."""
        known = {**variables.defaults(lender), **task_vars}
        template = self._templar.copy_with_new_env(available_variables=known).template
        if template(known.get(f"{lender}_state")) == "absent":
            return None
        found = {}
        for noun in nouns:
            found[noun], problems = variables.borrow(lender, noun, None, lender, task_vars, template)
            self._refuse(problems)
        return found

    def _fleet(
        self, names: t.Sequence[str], address: str, nouns: t.Mapping[str, str], task_vars: dict[str, t.Any]
    ) -> Data:
        """What the inventory says of these hosts. ``address`` is the variable that has theirs, ``nouns`` options by the
        role that has them, of which those of a role that is absent have no value."""
        hostvars, here = task_vars.get("hostvars") or {}, task_vars.get("inventory_hostname")
        self._refuse([f"{name} is no host of the inventory." for name in names if name not in hostvars])
        hosts = {}
        for name in names:
            # Of this host those of the task count, which are not templated yet.
            known, template = (task_vars, self._templar.template) if name == here else (hostvars[name], variables.plain)
            found: dict[str, t.Any] = {"address": str(variables.plain(template(known.get(address))) or name)}
            for noun, lender in nouns.items():
                found[noun] = None
                if template(known.get(f"{lender}_state")) != "absent":
                    found[noun], problems = variables.borrow(lender, noun, None, lender, known, template)
                    self._refuse([f"Of {name}: {problem}" for problem in problems])
            hosts[name] = found
        return {"here": here, "hosts": hosts}

    def _refuse(self, problems: t.Sequence[str]) -> None:
        if problems:
            raise AnsibleActionFail(" ".join(problems))

    def _dry_run(self, task_vars: dict[str, t.Any]) -> bool:
        """An audit is one without --check, too."""
        audit = self._templar.template(task_vars.get(AUDIT, False))
        return bool(self._task.check_mode) or boolean(audit, strict=False)

    def _converge(
        self, name: str, built: Built, dry_run: bool, task_vars: dict[str, t.Any], *, all_checks: bool
    ) -> tuple[dict[str, t.Any], Checked]:
        """A host that is right costs one round trip. Of one that is to change more is asked before it changes."""
        with self._reading(dry_run):
            questions = self.comparison(name, built, task_vars)
            compared, checked = split(built, self.fast_checks(questions, task_vars))
            if all_checks:
                checked = [
                    (check, self._ask(check.question, task_vars) if answer is None else answer)
                    for check, answer in checked
                ]
            if compared is not None:
                return compared, checked
            compared = self.ensure(dict(questions[0][1]), task_vars, remember=dry_run)
        if compared.get("failed"):
            return compared, checked
        decision = self._decision(built, compared, dry_run, task_vars)
        self._refuse(decision.conflicts)
        pending = [*compared["pending"], *decision.pending]
        if dry_run:
            warnings = [*compared.get("warnings", ()), *decision.notices]
            return {**compared, "changed": bool(compared["drift"]), "pending": pending, "warnings": warnings}, checked
        if pending or (not compared["drift"] and compared["recovered"] == "none"):
            return {**compared, "changed": False, "pending": pending}, checked
        desired = self.prepared(dict(built.component or {}), task_vars)
        done = self.ensure(desired, task_vars)
        return {**done, "warnings": [*done.get("warnings", ()), *decision.notices]}, checked

    def comparison(self, name: str, built: Built, task_vars: dict[str, t.Any]) -> list[Asked]:
        """What tells whether something differs: the component, where there is one, and the checks."""
        self._of_role = name
        checks = [(check.question.module, check.question.args) for check in built.checks]
        if built.component is None:
            return checks
        return [(component.MODULE, self.prepared(dict(built.component), task_vars)), *checks]

    def _decision(self, built: Built, compared: Data, dry_run: bool, task_vars: dict[str, t.Any]) -> Decision:
        if not (compared["drift"] and built.question):
            return Decision()
        with self._reading(dry_run):
            answer = self._ask(built.question, task_vars)
            compared = {**compared, "context": [self._ask(question, task_vars) for question in built.context]}
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

    def _ask(self, question: Question, task_vars: dict[str, t.Any]) -> Answer:
        """What the module itself returns."""
        args = dict(question.args)
        if question == PLATFORM:
            result = gather(self, task_vars)
        elif question.module == "mlops.hosts.cdi_info":
            result = cdi_info.gather(self, args, task_vars)
        else:
            result = self._execute_module(module_name=question.module, module_args=args, task_vars=task_vars)
        return _answer(question, result)

    def _execute_module(self, *args: t.Any, **keywords: t.Any) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super()._execute_module(*args, **keywords)
        # The interpreter that was discovered is one.
        self._facts.update(result.get("ansible_facts", {}))
        return result

    def _template(self, name: str, more: dict[str, t.Any], task_vars: dict[str, t.Any]) -> str:
        if templates.find(str(self._of_role), name) is None:
            return super()._template(name, more, task_vars)
        managed = self._templar.template(task_vars.get("ansible_managed", "Ansible managed"))
        return templates.render(
            str(self._of_role), name, more, managed=variables.plain(managed), kept=C.DEFAULT_LOCAL_TMP
        )

    def _find_needle(self, dirname: str, needle: str) -> str:
        path = ROLES / str(self._of_role) / dirname / needle
        return str(path) if path.is_file() else t.cast("str", super()._find_needle(dirname, needle))


def split(built: Built, answers: t.Sequence[Answer | None]) -> tuple[Answer | None, Checked]:
    """``answers``: to a comparison, in order. Of the component, empty where there is none, and of the checks."""
    first = len(answers) - len(built.checks)
    return (answers[0] if first else {}), list(zip(built.checks, answers[first:]))


def refuses(question: Question, result: Answer) -> bool:
    """Whether a module failed in a way that is no answer."""
    return bool(result.get("failed")) and not (question.tolerates and result.get(question.tolerates))


def _answer(question: Question, result: Answer) -> Answer:
    if refuses(question, result):
        # Arguments repeat what the site configured, passwords of registries among it: they are not shown.
        shown = {key: value for key, value in result.items() if key != "invocation"}
        raise AnsibleActionFail(str(result.get("msg") or f"{question.module} failed"), result=shown)
    return result
