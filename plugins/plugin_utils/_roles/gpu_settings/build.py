# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What the GPUs of a host are asked, the boot unit as component data, and what is left to do. Pure."""

from __future__ import annotations

import typing as t

from ....module_utils._gpu_settings.desired import DESIRED, as_file, problems, split
from ..._packed_program import Program
from ..built import Built, Data, Question
from ..platform import Platform

UNIT = "mlops-gpu-settings.service"
PROGRAM = Program(
    name="gpu_settings",
    path="/usr/local/sbin/mlops-gpu-settings",
    entry="_gpu_settings.replay",
    about=f"Brings GPUs to what {DESIRED} says; --check compares only.",
)
_MIG, _SETTINGS = "mlops.hosts.mig_layout", "mlops.hosts.gpu_settings"
_NOTHING: Data = {"commands": [], "pending": [], "blockers": [], "drift": [], "disruptive": False}
# A change of these can change what is right here.
AFTER = ("gpu_driver",)


def facts(_options: Data) -> tuple[str, ...]:
    return ()


def asks(options: Data) -> tuple[Question, ...]:
    """What is refused of the GPUs is refused before anything changes.

    Without a driver, or with one that waits for a reboot, nobody answers: the boot unit will do it.
    """
    if options["state"] == "absent" or not options["devices"]:
        return ()
    found = _resources(options)
    if found["problems"]:
        return ()
    devices = {_MIG: found["mig"], _SETTINGS: found["settings"]}
    return tuple(
        Question(module, arguments(options, entries), tolerates="unanswered")
        for module, entries in devices.items()
        if entries
    )


def arguments(options: Data, devices: t.Sequence[Data]) -> dict[str, t.Any]:
    """Of either module."""
    return {
        "devices": list(devices),
        "reset": options["reset"],
        "services": options["services_stopped"],
        "timeout_s": options["timeout_s"],
    }


def build(options: Data, _platform: Platform, *answers: Data) -> Built:
    if options["state"] == "absent":
        return Built(component={"name": "gpu_settings", "state": "absent"})
    if not options["devices"]:
        return Built()
    found = _resources(options)
    if found["problems"]:
        return Built(tuple(found["problems"]))
    asked = {question.module: answer for question, answer in zip(asks(options), answers)}
    unanswered = [str(answer.get("msg")) for answer in answers if answer.get("unanswered")]
    mig, settings = ({**_NOTHING, **asked.get(module, {})} for module in (_MIG, _SETTINGS))
    differs = bool(mig["commands"] or settings["commands"])
    pending = [*mig["pending"], *settings["pending"]]
    blockers = [*mig["blockers"], *settings["blockers"]]
    left = {
        "mig": arguments(options, found["mig"]) if mig["commands"] else None,
        "settings": arguments(options, found["settings"]) if differs and found["settings"] else None,
        "disrupts": bool(mig["disruptive"] or settings["disruptive"]),
    }
    return Built(
        notices=tuple(f"{words}. The boot unit does it once the driver runs." for words in unanswered[:1]),
        component={"name": "gpu_settings", "state": "present", **_unit(options, found)},
        differs=differs,
        pending=tuple(told(item, blockers) for item in pending),
        rest=lambda changed, dry_run: _rest(options, left, changed or differs, dry_run, answered=not unanswered),
        published={
            "asked": {
                module: {"changed": bool(answer.get("commands")), "drift": answer.get("drift", [])}
                for module, answer in asked.items()
            },
            "blockers": blockers,
        },
    )


def told(pending: Data, blockers: t.Sequence[Data]) -> dict[str, t.Any]:
    """``pending`` of a module's answer, with ``what`` waits and ``why``."""
    users = [f"{one['command']} pid {one['pid']}" for one in blockers if one["gpu"] == pending["gpu"]]
    use = f", and the GPU is in use by {', '.join(users)}" if users else ""
    return {
        **pending,
        "what": f"{pending['setting']} of {pending['gpu']}",
        "why": (
            f"{pending['gpu']}: {pending['setting']} is {pending['current']}; {pending['pending']} waits for a "
            f"{pending['ends_with']}{use}."
        ),
    }


def _resources(options: Data) -> dict[str, t.Any]:
    """What the modules are given, and what is installed for the boot unit."""
    devices = options["devices"]
    entries = split(devices)
    return {
        "problems": problems(devices),
        "settings": list(entries.settings),
        "mig": list(entries.mig),
        **PROGRAM.resources(python=options["python"], more={DESIRED: as_file(devices, timeout_s=options["timeout_s"])}),
    }


def _unit(options: Data, found: Data) -> dict[str, t.Any]:
    unit_file = {
        "path": f"/etc/systemd/system/{UNIT}",
        "template": "mlops-gpu-settings.service.j2",
        "template_vars": {"__gpu_settings_before_units": options["before_units"]},
        "on_change": "none",
    }
    return {
        "directories": found["directories"],
        "files": [*found["files"], unit_file],
        "units": [{"name": UNIT, "enabled": True, "state": "unmanaged"}],
    }


def _rest(options: Data, left: Data, changed: bool, dry_run: bool, *, answered: bool) -> dict[str, t.Any] | None:
    """A run that was killed in a disruption has left a host to be put back into service: that is looked for."""
    verify = answered and options["verify"] != "never" and (changed or options["verify"] == "always")
    hooks = left["disrupts"] or bool(options["after_disruption"])
    if dry_run or not (left["mig"] or left["settings"] or hooks or verify):
        return None
    return {**left, "verify": verify}
