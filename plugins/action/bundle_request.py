# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the roles of a host here, and says what they would install."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleError

from ..module_utils._bundle.models import is_mirrored
from ..module_utils._container_runtime.mirror import ENGINES
from ..plugin_utils._roles import variables
from ..plugin_utils._roles.mirror import images_of, present
from . import role_component

# It must be built from where things come, and not from a mirror.
_DROPPED = ("mlops_hosts_mirror", "mlops_hosts_mirror_manifest")


class ActionModule(role_component.ActionModule):
    """Controller side of M(mlops.hosts.bundle_request)."""

    _VALID_ARGS = frozenset({"roles"})

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super(role_component.component.ActionModule, self).run(tmp, task_vars)
        _result, args = self.validate_argument_spec({"roles": {"type": "list", "elements": "str", "required": True}})
        known = {name: value for name, value in (task_vars or {}).items() if name not in _DROPPED}
        # Facts of the host itself say nothing of the one that is asked in its place, and the other way round.
        with self._reading(True):
            asked = self._ask(role_component.PLATFORM, known | {"ansible_facts": {}})["ansible_facts"]
        known["ansible_facts"] = {name.removeprefix("ansible_"): value for name, value in asked.items()}
        found: dict[str, t.Any] = {"components": [], "images": [], "models": [], "not_mirrored": [], "environments": []}
        refused: list[str] = []
        with self._reading(True):
            for name in variables.plain(args["roles"]):
                try:
                    self._add(name, found, known)
                except AnsibleError as exc:
                    refused.append(f"{name}: {exc}")
        self._facts.clear()
        return {"changed": False, "os_family": known["ansible_facts"]["os_family"], **found, "refused": refused}

    def _add(self, name: str, found: dict[str, t.Any], task_vars: dict[str, t.Any]) -> None:
        role = self._read(name, task_vars)
        if role.is_absent:
            return
        built = role.build([self._ask(question, task_vars) for question in role.questions])
        self._refuse(built.problems)
        component = built.component or {}
        self._of_role = name
        packages = [dict(one) for one in present(component)]
        if packages:
            repositories = [self._repository(dict(one)) for one in component.get("repositories") or ()]
            pins = [one["content"] for one in component.get("files") or () if _pins(one)]
            part = {"role": name, "name": component["name"], "repositories": repositories}
            found["components"].append({**part, "packages": packages, "preferences": pins})
        for image, engine in images_of(built):
            if engine in ENGINES:
                found["images"].append({"name": image, "role": name})
            else:
                found["not_mirrored"].append(image)
        releases = [question for question in built.before if question.module == "mlops.hosts.release"]
        found["not_mirrored"] += [question.args["url"] for question in releases]
        if name == "model_store":
            models = [one for one in role.options["artifacts"] if (one.get("state") or "present") == "present"]
            found["models"] += [one for one in models if is_mirrored(one["source"])]
            found["not_mirrored"] += [one["source"] for one in models if not is_mirrored(one["source"])]
        if name == "model_runtime":
            environments = role.options["environments"]
            found["environments"] += [one for one in environments if (one.get("state") or "present") == "present"]


def _pins(file: t.Mapping[str, t.Any]) -> bool:
    """Whether a file of a component says which versions apt or dnf takes."""
    return (
        str(file["path"]).startswith(("/etc/apt/preferences.d/", "/etc/dnf/modules.d/"))
        and file.get("content") is not None
    )
