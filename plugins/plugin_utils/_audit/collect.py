# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Gathers what the tasks of an audit say about each host. Pure: it knows Ansible's results as plain data only.

A role may fail, handle that itself, and go on. So a failure counts only when the playbook says that a role was given up
(``give_up``), or when Ansible counts the host as failed at the end (``lost``).
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

COMPONENT = "mlops.hosts.component"
# The same, built by a role.
ROLE_COMPONENT = "mlops.hosts.role_component"
# All roles of the collection on a host.
HOST_CHECK = "mlops.hosts.host_check"
ARTIFACT = "mlops.hosts.model_artifact"
# What answers with changed and drift, and is in the role's component.
COMPARED = (COMPONENT, ROLE_COMPONENT, ARTIFACT, "mlops.hosts.gpu_settings", "mlops.hosts.mig_layout")
GPUS = "mlops.hosts.gpu_info"
DRIVER, DRIVER_ROLE = "mlops.hosts.driver_info", "gpu_driver"
DRIFT_KEYS = ("kind", "item", "attribute", "want", "have")
# Ansible puts this in the place of a result with no_log.
_CENSORED = "censored"
_HIDDEN = "its result is hidden by no_log"
_LONGEST_REASON = 2000
# A driver that is not there, or another one than desired, shows in its packages.
_DRIVER_WAITS = ("reload", "reboot", "rebuild", "broken")
# ansible-core 2.19 says first where it was when it failed.
_PREFIXES = re.compile(r"(?:(?:Task|Action|Module) failed: )+")


@dataclasses.dataclass(frozen=True)
class Event:
    """What one task said about one host.

    ``action`` is the full name of what ran, ``role`` that of the role that it stands in, ``name`` the task's own
    argument of that name where it is plain text. ``result`` is the task's result, of one item when it has a loop.
    """

    host: str
    action: str
    role: str | None
    name: str | None
    result: t.Mapping[str, t.Any]

    def items(self) -> t.Iterator[Event]:
        """An event for each item of a loop; itself without one."""
        results = self.result.get("results")
        if not isinstance(results, list):
            yield self
            return
        for result in results:
            if isinstance(result, dict):
                yield dataclasses.replace(self, result=result)

    @property
    def component(self) -> str:
        """The name of the component that this is about."""
        known = self.result.get("component") or self.name if self.action in (COMPONENT, ROLE_COMPONENT) else None
        return str(known or short(self.role) or self.action.rpartition(".")[2])


@dataclasses.dataclass
class Component:
    """What is known of a component of a host. ``drift`` is the last answer of each action that speaks of it."""

    name: str
    role: str | None
    drift: dict[str, list[dict[str, t.Any]]] = dataclasses.field(default_factory=dict)
    changed: dict[str, bool] = dataclasses.field(default_factory=dict)
    failure: str | None = None
    is_desired_absent: bool = False
    reboot_required: bool = False
    cut_off: bool = False


@dataclasses.dataclass
class Host:
    """What is known of a host. ``gpu_facts`` is what gpu_info returned, ``gpu_events`` what gpu_events_info did."""

    name: str
    components: dict[str, Component] = dataclasses.field(default_factory=dict)
    gpu_facts: t.Mapping[str, t.Any] | None = None
    gpu_events: t.Mapping[str, t.Any] | None = None
    failure: str | None = None
    unreachable: str | None = None
    last_failure: Event | None = None


class Collector:
    """All hosts of the audit, by name."""

    def __init__(self) -> None:
        self.hosts: dict[str, Host] = {}

    def host(self, name: str) -> Host:
        return self.hosts.setdefault(name, Host(name))

    def ok(self, event: Event) -> None:
        """A task has ended well."""
        for item in event.items():
            if item.action == HOST_CHECK:
                self._checked(item)
            elif item.action in COMPARED:
                self._compared(item)
                self._asked(item)
            elif item.action == GPUS and _CENSORED not in item.result:
                self.host(item.host).gpu_facts = item.result
            elif item.action == DRIVER and short(item.role) == DRIVER_ROLE:
                self._driver(item)

    def failed(self, event: Event) -> None:
        """A task has failed; whether that counts is not known yet."""
        host = self.host(event.host)
        host.last_failure = event
        for item in event.items():
            if item.result.get("failed"):
                host.last_failure = item
            elif item.action in COMPARED and item is not event:
                self._compared(item)

    def give_up(self, name: str, what: str) -> None:
        """The playbook has given up the role, or the task that reads the GPUs, on this host."""
        host = self.host(name)
        event = host.last_failure
        host.last_failure = None
        if what == GPUS:
            host.failure = f"the GPUs could not be read: {_reason(event)}"
            return
        event = dataclasses.replace(event, role=event.role or what) if event else None
        event = event or Event(name, what, what, None, {})
        component = self._component(event)
        component.failure = _reason(event)

    def lost(self, name: str) -> None:
        """Ansible counts the host as failed, although no role was given up."""
        host = self.host(name)
        if host.last_failure and host.last_failure.role:
            self.give_up(name, host.last_failure.role)
        elif host.last_failure or not any(one.failure for one in host.components.values()):
            host.failure = host.failure or _reason(host.last_failure)

    def unreachable(self, name: str, reason: str) -> None:
        """Nobody answers on the host, or no longer."""
        self.host(name).unreachable = _shortened(reason) or "no reason was given"

    def _checked(self, event: Event) -> None:
        """A result for each role, and what the GPUs are."""
        gpus = event.result.get("gpus")
        if gpus and gpus.get("failed"):
            self.host(event.host).failure = f"the GPUs could not be read: {_reason(_with(event, GPUS, gpus))}"
        elif gpus:
            self.host(event.host).gpu_facts = gpus
        events = event.result.get("gpu_events")
        # A host without a log that can be read can be right all the same.
        if events and not events.get("failed"):
            self.host(event.host).gpu_events = events
        for role, result in (event.result.get("roles") or {}).items():
            told = dataclasses.replace(_with(event, ROLE_COMPONENT, result), role=f"mlops.hosts.{role}")
            if result.get("failed"):
                self._component(told).failure = _reason(told)
            else:
                self._compared(told)
                self._asked(told)

    def _compared(self, event: Event) -> None:
        if event.action == ROLE_COMPONENT and event.result.get("component", event) is None:
            return  # the role has nothing to do with the host
        component = self._component(event)
        component.failure = None
        if _CENSORED in event.result:
            component.failure = f"{_HIDDEN}, so nothing is known of it"
            return
        changed = bool(event.result.get("changed"))
        # A role that asks only to decide something says that nothing changes: such an answer is no difference.
        rows = event.result.get("drift") if changed else None
        component.drift[event.action] = [{key: row.get(key) for key in DRIFT_KEYS} for row in rows or ()]
        component.changed[event.action] = changed
        if event.action in (COMPONENT, ROLE_COMPONENT):
            asked = (event.result.get("invocation") or {}).get("module_args") or {}
            component.is_desired_absent = (asked.get("state") or event.result.get("state")) == "absent"
            component.reboot_required = component.reboot_required or bool(event.result.get("reboot_required"))
            component.cut_off = event.result.get("recovered", "none") != "none"

    def _asked(self, event: Event) -> None:
        """What a role asked before it built its component."""
        for module, answer in (event.result.get("asked") or {}).items():
            asked = dataclasses.replace(event, action=module, result=answer)
            if module == DRIVER:
                self._driver(asked)
            elif "drift" in answer:
                self._compared(asked)

    def _driver(self, event: Event) -> None:
        """What is on the disk may be right, and another driver may run."""
        verdict = event.result.get("verdict")
        waits = verdict in _DRIVER_WAITS
        component = self._component(event)
        have = f"{verdict}: {' '.join(event.result.get('reasons') or ())}"
        row = dict(zip(DRIFT_KEYS, ("driver", event.result.get("vendor"), "verdict", "ok", have)))
        component.drift[event.action] = [row] if waits else []
        component.changed[event.action] = waits
        component.reboot_required = component.reboot_required or verdict == "reboot"

    def _component(self, event: Event) -> Component:
        components = self.host(event.host).components
        return components.setdefault(event.component, Component(event.component, event.role))


def short(role: str | None) -> str | None:
    """``mlops.hosts.model_server`` or ``/srv/roles/model_server`` as ``model_server``."""
    return role.replace("/", ".").rstrip(".").rpartition(".")[2] if role else None


def _with(event: Event, action: str, result: t.Mapping[str, t.Any]) -> Event:
    """One of several answers of a task."""
    return dataclasses.replace(event, action=action, name=None, result=result)


def _reason(event: Event | None) -> str:
    if event is None or not event.result:
        return "it could not be run; the output of the audit says why"
    if _CENSORED in event.result:
        return f"a task failed, and {_HIDDEN}"
    said = (event.result.get(key) for key in ("msg", "reason", "stderr", "module_stderr", "exception"))
    return _shortened(next((str(text) for text in said if text), "")) or "a task failed and did not say why"


def _shortened(text: str) -> str:
    text = text.strip()
    if found := _PREFIXES.match(text):
        text = text[found.end() :]
    return text if len(text) <= _LONGEST_REASON else text[:_LONGEST_REASON] + "…"
