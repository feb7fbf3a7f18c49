# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The user and the directory that models belong to. Models themselves are for the module model_artifact. Pure."""

from __future__ import annotations

import re
import typing as t

from ..built import Built, Check, Data, Question
from ..platform import Platform

DIRECTORY = "/var/lib/mlops-models"


def facts(_options: Data) -> tuple[str, ...]:
    return ()


def build(options: Data, _platform: Platform) -> Built:
    state, store = options["state"], options["dir"]
    if problems := tuple(_problems(options)):
        return Built(problems)
    name = component_name(store)
    rest = {"state": state, "component": name}
    if state == "absent":
        # A user that owns models must not go, so the models decide first: another user could be given its number.
        checks = _purged(options, name) if options["purge"] else ()
        return Built(checks=checks, rest=lambda _changed, _dry_run: rest)
    # Before the directory is made, since that would hide that the disk is missing.
    mount = Question("mlops.hosts.model_artifact", {"artifacts": [], "store": store, "mount_required": True})
    return Built(
        component={
            "name": name,
            "state": "present",
            "users": [{"name": options["user"]}],
            "directories": [{"path": store, "owner": options["user"], "group": options["group"], "mode": "0750"}],
        },
        question=mount if options["mount_required"] else None,
        checks=(Check(Question("mlops.hosts.model_artifact", _models(options)), lambda answer: answer["drift"]),),
        rest=lambda _changed, _dry_run: rest,
    )


def _models(options: Data) -> dict[str, t.Any]:
    """Arguments of the module ``model_artifact``, as in ``tasks/present.yml``."""
    same = ("artifacts", "group", "mode", "endpoint", "token", "token_file", "ca_path", "keep", "retries")
    more = ("seeds", "parallel", "max_wait_s", "timeout_s", "reserve_mib", "lock_timeout_s", "mount_required")
    found = {
        "store": options["dir"],
        "owner": options["user"],
        "verify": options["rehash"],
        **{name: options[name] for name in (*same, *more)},
    }
    return {name: value for name, value in found.items() if value not in (None, "")}


def _purged(options: Data, name: str) -> tuple[Check, ...]:
    """Without a purge, models that stay keep the component."""
    models = {"artifacts": [], "store": options["dir"], "purge": True}
    return (
        Check(Question("mlops.hosts.model_artifact", models), lambda answer: answer["drift"]),
        Check(Question("mlops.hosts.component", {"name": name, "state": "absent"}), lambda answer: answer["drift"]),
    )


def component_name(store: str) -> str:
    """Each store is a component of its own: one that goes must not take the user of another one, which owns models."""
    store = store.rstrip("/")
    return "model_store" if store == DIRECTORY else f"model_store{re.sub('[^A-Za-z0-9]+', '.', store)}"


def _problems(options: Data) -> t.Iterator[str]:
    if not re.match("/[^/]", options["dir"]):
        yield f"model_store_dir must be a directory of its own by its absolute path, not {options['dir']!r}."
    if options["state"] == "present" and options["token"] and options["token_file"]:
        yield "model_store_token and model_store_token_file are both set; keep one."
