# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders what a component needs on the controller, asks the host, and lets the package manager work when told to."""

from __future__ import annotations

import hashlib
import json
import os.path
import platform
import typing as t
import uuid

from ansible import constants as C
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..module_utils._package_manager import SOURCES
from ..plugin_utils._fast_check import ask
from ..plugin_utils._jmespath import ExpressionError, for_hosts

try:
    from ansible.template import trust_as_template
except ImportError:  # ansible-core 2.18, where every string is a template
    trust_as_template = None

MODULE = "mlops.hosts.component"
# A transaction needs up to four calls; recovery of an earlier one as many before it.
_MOST_CALLS = 10
_LOCK_TIMEOUT_S = 300

display = Display()


class ActionModule(ActionBase):
    """Controller side of M(mlops.hosts.component)."""

    _supports_check_mode = True

    def __init__(self, *args: t.Any, **keywords: t.Any) -> None:
        super().__init__(*args, **keywords)
        # What later tasks need to know of this host, from whatever is run for this task.
        self._facts: dict[str, t.Any] = {}
        self._told = ""

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        task_vars = task_vars or {}
        args = self.prepared(dict(self._task.args), task_vars)
        return self._with_facts(self.fast_checks([(MODULE, args)], task_vars)[0] or self.ensure(args, task_vars))

    def prepared(self, args: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """The module's arguments, with the contents of all files."""
        hidden: dict[str, str] = {}
        call = {"run": uuid.uuid4().hex, "controller": platform.node(), "work_error": None, "earlier": []}
        return {**self._rendered(args, hidden, task_vars), "_call": call, "_secrets": hidden}

    def fast_checks(
        self, questions: t.Sequence[tuple[str, t.Mapping[str, t.Any]]], task_vars: dict[str, t.Any]
    ) -> list[dict[str, t.Any] | None]:
        """Return values of modules by their arguments, in one round trip; None where only the module can tell."""
        found = ask(self, questions, task_vars, self._told)
        self._told = found.told
        if found.facts:
            self._facts.update(found.facts)
            # Modules of this task need not look again.
            task_vars["ansible_facts"] = {**task_vars.get("ansible_facts", {}), **found.facts}
        # Nothing to warn of, and where no diff is asked for, none to show.
        unwanted = ("warnings",) if self._task.diff else ("warnings", "diff")
        return [
            {key: value for key, value in answer.items() if key not in unwanted}
            if answer and module == MODULE
            else answer
            for (module, _args), answer in zip(questions, found.answers)
        ]

    def _with_facts(self, result: dict[str, t.Any]) -> dict[str, t.Any]:
        facts = {**self._facts, **result.get("ansible_facts", {})}
        return {**result, "ansible_facts": facts} if facts else result

    def ensure(self, args: dict[str, t.Any], task_vars: dict[str, t.Any], *, remember: bool = True) -> dict[str, t.Any]:
        """Runs the module until it needs nothing more of the controller.

        ``remember``: what check mode does not write is not there for the tasks that follow.
        """
        call = args["_call"]
        unwritten = _Unwritten(self._task.delegate_to or task_vars.get("inventory_hostname"))
        if self._task.check_mode and remember:
            call["earlier"] = unwritten.read()
        for _call in range(_MOST_CALLS):
            result = self._execute_module(module_name=MODULE, module_args=args, task_vars=task_vars)
            if result.get("failed") or not result.get("work"):
                if self._task.check_mode and remember:
                    unwritten.add(result)
                return t.cast("dict[str, t.Any]", result)
            call["work_error"] = self._work(result["manager"], result["work"], task_vars)
        raise AnsibleActionFail(
            f"component {args.get('name')!r} did not come to an end in {_MOST_CALLS} calls; "
            "another run keeps undoing it"
        )

    def _work(self, manager: str, work: list[dict[str, t.Any]], task_vars: dict[str, t.Any]) -> str | None:
        """Let the package manager work. Returns what it said when it failed."""
        for part in work:
            display.vv(f"{MODULE}: {manager} makes {' '.join(part['names'])} {part['state']}")
            arguments = {"name": part["names"], "state": part["state"], "lock_timeout": _LOCK_TIMEOUT_S}
            if manager == "apt":
                # 101: nothing may be started; a service first runs with the configuration that is still to come.
                arguments.update(policy_rc_d=101, install_recommends=False)
            if part["state"] == "present":
                # The host has read the lists already.
                arguments["allow_downgrade"] = True
                if manager != "apt":  # apt does so by itself
                    arguments["allowerasing"] = part.get("erasing", False)
            done = self._execute_module(
                module_name=f"ansible.builtin.{manager}", module_args=arguments, task_vars=task_vars
            )
            if done.get("failed"):
                said = str(done.get("msg") or done.get("stderr") or "it did not say why").strip()
                # dnf keeps the reason apart from the message, dpkg says among its progress which script failed, and apt
                # what does not go together.
                reasons = [str(reason) for reason in done.get("failures") or ()]
                progress = str(done.get("stdout") or "")
                told = any(words in progress for words in ("dpkg: error", "unmet dependencies"))
                return ": ".join([said, *reasons]) + (f"\n{progress}" if told else "")
        return None

    def _rendered(
        self, args: dict[str, t.Any], hidden: dict[str, str], task_vars: dict[str, t.Any]
    ) -> dict[str, t.Any]:
        """The arguments with every ``template``, ``src`` and ``key_src`` read; secret contents go to ``hidden``."""
        for option, rendered in (
            ("files", lambda file: self._file(file, task_vars, hidden)),
            ("repositories", self._repository),
            ("ready", _ready),
        ):
            items = args.get(option) or []
            # Of another type, it is the module that says what is wrong.
            if isinstance(items, list):
                args[option] = [rendered(dict(item)) if isinstance(item, dict) else item for item in items]
        return args

    def _file(self, file: dict[str, t.Any], task_vars: dict[str, t.Any], hidden: dict[str, str]) -> dict[str, t.Any]:
        given = [key for key in ("content", "template", "src", "json_keys") if file.get(key) is not None]
        if len(given) != 1:
            raise AnsibleActionFail(
                f"file {file.get('path')!r} needs exactly one of content, template, src and json_keys, "
                f"it has {' and '.join(given) or 'none'}"
            )
        if isinstance(file.get("content"), (dict, list)):
            # As text it would be Python, which no program reads. ansible-core 2.18 makes data of text that looks so.
            raise AnsibleActionFail(
                f"the content of file {file.get('path')!r} must be text, and is data; "
                "end its expression with the filter to_json, or with the filter string where it is text already"
            )
        if file.get("template") is not None:
            file["content"] = self._template(
                str(file.pop("template")), file.pop("template_vars", None) or {}, task_vars
            )
        elif file.get("src") is not None:
            file["content"] = self._read("files", str(file.pop("src")))
        # Extra vars bring text: a "false" that counted here and not on the host would leave an empty file.
        if boolean(file.get("secret", False), strict=False) and file.get("content") is not None:
            hidden[file["path"]] = str(file.pop("content"))
            # Something must stand in its place until the host puts the two together again.
            file["content"] = ""
        return file

    def _repository(self, repository: dict[str, t.Any]) -> dict[str, t.Any]:
        if repository.get("key_src") is not None:
            repository["key"] = self._read("files", str(repository.pop("key_src")))
        return repository

    def _template(self, name: str, more: dict[str, t.Any], task_vars: dict[str, t.Any]) -> str:
        path = self._find_needle("templates", name)
        text = self._text(path)
        variables = {"ansible_managed": "Ansible managed", **task_vars, **more}
        templar = self._templar.copy_with_new_env(searchpath=[os.path.dirname(path)], available_variables=variables)
        overrides = {"trim_blocks": True}
        if trust_as_template is None:
            return str(templar.do_template(text, escape_backslashes=False, overrides=overrides))
        return str(templar.template(trust_as_template(text), escape_backslashes=False, overrides=overrides))

    def _read(self, folder: str, name: str) -> str:
        try:
            return self._text(self._find_needle(folder, name))
        except AnsibleError as exc:
            raise AnsibleActionFail(f"{name} was not found in the {folder} folder: {exc}") from exc

    def _text(self, path: str) -> str:
        """What a file here holds, decrypted where it is a vault."""
        if trust_as_template is None:
            # 2.18 has no public way that lays no decrypted copy on the disk.
            return t.cast("bytes", self._loader._get_file_contents(path)[0]).decode()
        return t.cast("str", self._loader.get_text_file_contents(path))


def _ready(condition: dict[str, t.Any]) -> dict[str, t.Any]:
    """With its expectation parsed, which hosts cannot."""
    asked = condition.get("inference")
    if not isinstance(asked, dict) or asked.get("expectation") is None:
        return condition
    try:
        return {**condition, "inference": {**asked, "expectation": for_hosts("expectation", asked["expectation"])}}
    except ExpressionError as exc:
        raise AnsibleActionFail(str(exc)) from exc


class _Unwritten:
    """Repositories of one host that this run of Ansible would have written, were it not in check mode.

    They are kept in the folder that a run has for itself: tasks run in processes of their own, and another run must
    not know of them.
    """

    def __init__(self, host: t.Any) -> None:
        name = hashlib.sha256(str(host).encode()).hexdigest()
        self._path = os.path.join(C.DEFAULT_LOCAL_TMP, f"mlops.hosts-unwritten-{name}")

    def read(self) -> list[str]:
        try:
            with open(self._path, encoding="utf-8") as source:
                return t.cast("list[str]", json.load(source))
        except FileNotFoundError:
            return []

    def add(self, result: dict[str, t.Any]) -> None:
        paths = {
            item["item"]
            for item in result.get("drift", ())
            if item["kind"] in ("file", "repository")
            and item["want"] is not None
            and str(item["item"]).startswith(SOURCES)
        }
        if paths:
            known = sorted({*self.read(), *paths})
            with open(self._path, "w", encoding="utf-8") as out:
                json.dump(known, out)
