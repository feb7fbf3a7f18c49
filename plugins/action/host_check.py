# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds all roles of a host here, and asks the host about all of them in one program."""

from __future__ import annotations

import contextlib
import typing as t

from ansible.errors import AnsibleConnectionFailure, AnsibleError

from ..plugin_utils._roles import variables
from ..plugin_utils._roles.built import Built, Question
from . import role_component
from .role_component import PLATFORM, Answer, Asked, Role, differing, noticed, refuses, split

GPUS = Question("mlops.hosts.gpu_info", {})
# The newest of a week, over reboots.
EVENTS = Question("mlops.hosts.gpu_events_info", {"boot": "all", "since": "-7d", "max_events": 5, "timeout_s": 20})


class ActionModule(role_component.ActionModule):
    """Controller side of M(mlops.hosts.host_check)."""

    _VALID_ARGS = frozenset({"roles", "gpus", "gpu_events", "details"})

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super(role_component.component.ActionModule, self).run(tmp, task_vars)
        task_vars = task_vars or {}
        _result, args = self.validate_argument_spec(
            {
                "roles": {"type": "list", "elements": "str", "required": True},
                "gpus": {"type": "bool", "default": False},
                "gpu_events": {"type": "bool", "default": False},
                "details": {"type": "bool", "default": False},
            }
        )
        names = [name for name in variables.plain(args.pop("roles")) if _selected(name, task_vars)]
        more = {key: question for key, question in (("gpus", GPUS), ("gpu_events", EVENTS)) if args.pop(key)}
        dry_run = args["details"] or self._dry_run(task_vars)
        with self._reading(dry_run):
            return self._with_facts(self._result(names, task_vars, dry_run=dry_run, more=more, **args))

    def _result(
        self,
        names: t.Sequence[str],
        task_vars: dict[str, t.Any],
        *,
        dry_run: bool,
        more: t.Mapping[str, Question],
        details: bool,
    ) -> Answer:
        """``more``: what is asked besides, by its key in the result."""
        roles, refused = self._roles(names, task_vars)
        questions = {name: [(asked.module, asked.args) for asked in role.questions] for name, role in roles.items()}
        asked = {"": [(question.module, question.args) for question in more.values()]}
        first = self._in_one({**questions, **asked}, task_vars)
        self._fill_in_platform(roles, first, task_vars)
        built, comparisons = self._built(roles, first, task_vars)
        second = self._in_one(comparisons, task_vars)
        right = {
            name: answer
            for name, found in built.items()
            if (answer := _right(roles[name], found, second[name], dry_run)) is not None
        }
        result: Answer = {"changed": False, "compared": list(names), **_order(names, roles, right)}
        warnings = [text for name in right for text in _told(roles[name], built[name], second[name])]
        for (key, question), answer in zip(more.items(), first[""]):
            result[key] = self._in_any_way(question, answer, task_vars)
        if not details:  # an audit tells what differs, whether it could be had or not
            self._require_mirror([name for name in result["differing"] if name in built], roles, built, task_vars)
        if details:
            result["roles"] = {
                name: right[name] if name in right else refused.get(name) or self._in_full(name, task_vars)
                for name in names
            }
            result["changed"] = any(map(_changes, result["roles"].values()))
            warnings += [text for answer in result["roles"].values() for text in answer.pop("warnings", ())]
            diffs = [answer.pop("diff") for answer in result["roles"].values() if answer.get("diff")]
            if diffs and self._task.diff:
                result["diff"] = [one for diff in diffs for one in (diff if isinstance(diff, list) else [diff])]
        return {**result, "warnings": list(dict.fromkeys(warnings))} if warnings else result

    def _roles(
        self, names: t.Sequence[str], task_vars: dict[str, t.Any]
    ) -> tuple[dict[str, Role], dict[str, dict[str, t.Any]]]:
        """Those whose variables have a meaning, and what is to be said of the others."""
        roles: dict[str, Role] = {}
        refused: dict[str, dict[str, t.Any]] = {}
        for name in names:
            try:
                roles[name] = self._read(name, task_vars)
            except AnsibleError as exc:
                refused[name] = _failed(exc)
        return roles, refused

    def _fill_in_platform(
        self, roles: t.Mapping[str, Role], answers: t.Mapping[str, list[Answer | None]], task_vars: dict[str, t.Any]
    ) -> None:
        """Where os-release does not say enough, Ansible gathers it, once for all roles."""
        waiting = [name for name, role in roles.items() if PLATFORM in role.questions and answers[name][0] is None]
        if waiting:
            answer = self._ask(PLATFORM, task_vars)
            for name in waiting:
                answers[name][0] = answer

    def _built(
        self, roles: t.Mapping[str, Role], answers: t.Mapping[str, list[Answer | None]], task_vars: dict[str, t.Any]
    ) -> tuple[dict[str, Built], dict[str, list[Asked]]]:
        """What the roles desire, and how it is compared; without those that have to ask, or to refuse, themselves."""
        built: dict[str, Built] = {}
        comparisons: dict[str, list[Asked]] = {}
        for name, role in roles.items():
            known = [answer for answer in answers[name] if answer is not None]
            if len(known) < len(role.questions) or any(map(refuses, role.questions, known)):
                continue
            for answer in known:
                self._facts.update(answer.get("ansible_facts", {}))
            with contextlib.suppress(AnsibleError):
                found = role.build(known)
                if not found.problems:
                    comparisons[name] = self.comparison(name, found, task_vars)
                    built[name] = found
        return built, comparisons

    def _require_mirror(
        self,
        names: t.Sequence[str],
        roles: t.Mapping[str, Role],
        built: t.Mapping[str, Built],
        task_vars: dict[str, t.Any],
    ) -> None:
        """Fail before anything changes where the mirror lacks something that these roles need on the host."""
        found = [mirror for name in names if (mirror := roles[name].mirror)]
        if found:
            components = [str((built[name].component or {}).get("name", name)) for name in names if roles[name].mirror]
            components += [name for name in names if roles[name].mirror]
            args = {"url": found[0].url, "manifest": found[0].text, "components": list(dict.fromkeys(components))}
            answer = self._ask(Question("mlops.hosts.mirror_info", args), task_vars)
            self._refuse([f"{sentence}." for sentence in answer["problems"]])

    def _in_full(self, name: str, task_vars: dict[str, t.Any]) -> Answer:
        """What the role's own task returns in check mode."""
        try:
            return self._role(name, task_vars, all_checks=True)
        except AnsibleConnectionFailure:
            raise
        except AnsibleError as exc:
            return _failed(exc)

    def _in_any_way(self, question: Question, answer: Answer | None, task_vars: dict[str, t.Any]) -> Answer:
        try:
            return answer or self._ask(question, task_vars)
        except AnsibleConnectionFailure:
            raise
        except AnsibleError as exc:
            return _failed(exc)

    def _in_one(
        self, questions: t.Mapping[str, t.Sequence[Asked]], task_vars: dict[str, t.Any]
    ) -> dict[str, list[Answer | None]]:
        """One round trip; what several ask is asked once."""
        every: list[Asked] = []
        for asked in questions.values():
            every += [one for one in asked if one not in every]
        answers = self.fast_checks(every, task_vars) if every else []
        return {name: [answers[every.index(one)] for one in asked] for name, asked in questions.items()}


def _right(role: Role, built: Built, answers: t.Sequence[Answer | None], dry_run: bool) -> Answer | None:
    """The role's result, if nothing differs and nothing is left for its other tasks to do or to say."""
    compared, checked = split(built, answers)
    always = role.options.get("verify") == "always" and not dry_run
    if compared is None or compared.get("changed") or differing(checked) or (always and built.verify):
        return None
    # What runs before, and is asked for too, has been found to be right.
    asked = [check.question for check in built.checks]
    if any(question not in asked for question in built.before):
        return None
    if built.differs or built.pending or role.rest(built, checked, dry_run) is not None:
        return None
    return {**role.nothing(built, checked, dry_run), **compared}


def _told(role: Role, built: Built, answers: t.Sequence[Answer | None]) -> list[str]:
    """Sentences on a host where nothing differs."""
    return [*role.warnings, *built.notices, *noticed(split(built, answers)[1])]


def _order(names: t.Sequence[str], roles: t.Mapping[str, Role], right: t.Mapping[str, t.Any]) -> dict[str, list[str]]:
    """Roles to run. What goes, goes in reverse; what stays is compared again after a change of what it stands on."""
    absent = [name for name in names if name in roles and roles[name].is_absent]
    found: list[str] = []
    for name in names:
        after = getattr(roles[name].room, "AFTER", ()) if name in roles else ()
        if name not in absent and (name not in right or set(after) & set(found)):
            found.append(name)
    return {"differing": found, "removing": [name for name in reversed(absent) if name not in right]}


def _changes(answer: Answer) -> bool:
    """Whether the role would change something, its component or what it asked about besides."""
    asked = answer.get("asked", {}).values()
    return bool(answer.get("changed") or any(one.get("changed") for one in asked))


def _selected(name: str, task_vars: t.Mapping[str, t.Any]) -> bool:
    """Whether tasks with the role's name as tag run: of a role that is not, not even its variables count."""
    only, skipped = (set(task_vars.get(f"ansible_{kind}_tags") or ()) for kind in ("run", "skip"))
    return not ({name, "tagged", "all"} & skipped) and bool(not only or {name, "tagged", "all"} & only)


def _failed(exc: Exception) -> Answer:
    return {"changed": False, "failed": True, "msg": str(exc)}
