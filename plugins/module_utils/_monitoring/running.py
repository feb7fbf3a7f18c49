# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Whether node_exporter, Prometheus and Alertmanager run what is on disk.

``systemctl reload`` exits with status 0 for files that they refuse, and a target or a rule file can be missing without
a word in their logs. So they are asked: Prometheus over its HTTP API (/-/ready, /api/v1/rules, /api/v1/targets) and, as
Alertmanager, by its own metrics (``..._config_last_reload_successful`` and its timestamp).
"""

from __future__ import annotations

import dataclasses
import json
import os
import time
import typing as t
from pathlib import Path

from .._errors import HostError
from .._http import Fetch, Unreachable
from . import exposition, paths, readable
from .plan import NodeExporter, Plan, Prometheus

_TIMEOUT_S = 10.0
_POLL_S = 0.3
# Seconds between two evaluations of a group.
_AWAITED_S = 20.0


@dataclasses.dataclass(frozen=True)
class Problem:
    """``may_end``: it can be gone a moment later, as that of a part that starts. ``stale``: the unit that runs files
    that are not those on disk."""

    sentence: str
    may_end: bool = False
    stale: str = ""


def problems(
    plan: Plan,
    fetch: Fetch,
    timeout_s: float,
    clock: t.Callable[[], float] = time.monotonic,
    sleep: t.Callable[[float], None] = time.sleep,
) -> list[str]:
    """Sentences, none where all parts run what is on disk. For what may end it waits, and not for the rest."""
    until = clock() + timeout_s
    while True:
        now = found(plan, fetch)
        lasting = [one.sentence for one in now if not one.may_end]
        if lasting or not now or clock() >= until:
            return lasting or [one.sentence for one in now]
        sleep(_POLL_S)


def found(plan: Plan, fetch: Fetch) -> list[Problem]:
    """All that is wrong now."""
    problems: list[Problem] = []
    if plan.node_exporter:
        problems += _node_exporter(plan.node_exporter, fetch)
    if plan.prometheus:
        problems += _prometheus(plan.prometheus, fetch)
    if plan.alertmanager:
        problems += _loaded("alertmanager", plan.alertmanager.url, [plan.alertmanager.config], fetch)
    return problems


def notes(plan: Plan, fetch: Fetch) -> list[str]:
    """What is wrong elsewhere: targets that are down, and text files of others that node_exporter cannot read."""
    notes = []
    if plan.node_exporter:
        text = get(f"{plan.node_exporter.url}/metrics", fetch)
        notes += [
            f"{name} is not read by node_exporter: journalctl -u {paths.UNITS['node_exporter']} says why"
            for name in unread(plan.node_exporter.textfile_dir, text)
        ]
    if plan.prometheus:
        for target in _targets(plan.prometheus, fetch):
            if target["health"] == "down":
                notes.append(f"target {target['scrapeUrl']} is down: {target['lastError']}")
    return notes


def get(url: str, fetch: Fetch) -> str:
    """The body; HostError where the status is not 200."""
    with fetch(url, timeout_s=_TIMEOUT_S) as response:
        body = response.body.read().decode("utf-8", "replace")
        if response.status != 200:
            raise HostError(f"{url} must answer with status 200, not {response.status}: {body.strip()[:200]}")
    return body


def _node_exporter(plan: NodeExporter, fetch: Fetch) -> t.Iterator[Problem]:
    if folder := readable.obstacle(plan.textfile_dir, plan.user):
        yield Problem(
            f"User {plan.user} must be able to read {plan.textfile_dir}, and {folder} keeps it out; set mode 0755 there"
        )
    try:
        text = get(f"{plan.url}/metrics", fetch)
    except HostError as exc:
        yield _silent("node_exporter", exc)
        return
    if exposition.value(text, "node_textfile_scrape_error") is None:
        yield Problem(
            f"{plan.url} must be the node_exporter of {paths.UNITS['node_exporter']}, and has no metric "
            "node_textfile_scrape_error: does monitoring_node_exporter_options turn its textfile collector off?"
        )


def unread(folder: str, text: str) -> list[str]:
    """Text files that are there and whose mtime node_exporter does not show: it leaves those out whole."""
    shown = exposition.labels(text, "node_textfile_mtime_seconds", "file")
    return sorted(str(path) for path in Path(folder).glob("*.prom") if str(path) not in shown)


def _prometheus(plan: Prometheus, fetch: Fetch) -> t.Iterator[Problem]:
    said = list(_loaded("prometheus", plan.url, [plan.config, *plan.rules], fetch))
    if said:
        yield from said
        return
    groups = {(group["file"], group["name"]): group for group in _data(f"{plan.url}/api/v1/rules", fetch)["groups"]}
    for file, names in plan.rules.items():
        for name in names:
            if (file, name) not in groups:
                yield Problem(f"Prometheus must have rule group {name} of {file}, and has not loaded it", may_end=True)
                continue
            yield from _rules(file, groups[file, name])
    there = {(target["scrapePool"], _address(target)) for target in _targets(plan, fetch)}
    for job, addresses in plan.targets.items():
        missing = [address for address in addresses if (job, address) not in there]
        if missing:
            sentence = f"Prometheus must scrape {', '.join(missing)} as job {job}, and does not know them"
            yield Problem(sentence, may_end=True)


def _rules(file: str, group: t.Mapping[str, t.Any]) -> t.Iterator[Problem]:
    """What is wrong in an expression shows only when it is evaluated, which of most groups can be waited for."""
    for rule in group["rules"]:
        if rule.get("lastError"):
            yield Problem(f"Rule {rule['name']} of {file} cannot be evaluated: {rule['lastError']}")
        elif rule.get("health") == "unknown" and float(group.get("interval") or 0) <= _AWAITED_S:
            yield Problem(f"Rule {rule['name']} of {file} has not been evaluated yet", may_end=True)


def _targets(plan: Prometheus, fetch: Fetch) -> list[dict[str, t.Any]]:
    return list(_data(f"{plan.url}/api/v1/targets?state=active", fetch)["activeTargets"])


def _address(target: t.Mapping[str, t.Any]) -> str:
    return str(target["discoveredLabels"].get("__address__", ""))


def _data(url: str, fetch: Fetch) -> dict[str, t.Any]:
    body = get(url, fetch)
    try:
        return dict(json.loads(body)["data"])
    except (ValueError, TypeError, KeyError) as exc:
        raise HostError(f"{url} must answer as Prometheus does, and said: {body.strip()[:200]}") from exc


def _loaded(part: str, url: str, files: t.Sequence[str], fetch: Fetch) -> t.Iterator[Problem]:
    """Whether it is ready, and the files that it runs are those on disk."""
    try:
        get(f"{url}/-/ready", fetch)
        at, good = reloaded(part, url, fetch)
    except HostError as exc:
        yield _silent(part, exc)
        return
    unit = paths.UNITS[part]
    if not good:
        sentence = f"{part} has refused the files on disk and runs earlier ones: journalctl -u {unit} says why"
        yield Problem(sentence, stale=unit)
        return
    try:
        newer = [path for path in files if os.stat(path).st_mtime > at]
    except OSError as exc:
        yield Problem(f"{exc.filename} must be there for {part} to read: {exc.strerror}")
        return
    if newer:
        yield Problem(f"{', '.join(newer)} came after what {part} runs: systemctl reload {unit}", stale=unit)


def reloaded(part: str, url: str, fetch: Fetch) -> tuple[float, bool]:
    """When the part last read its files with success, in seconds since 1970, and whether its last attempt was one."""
    text = get(f"{url}/metrics", fetch)
    prefix = f"{part}_config_last_reload_success"
    at, good = exposition.value(text, f"{prefix}_timestamp_seconds"), exposition.value(text, f"{prefix}ful")
    if at is None or good is None:
        raise HostError(f"{url}/metrics must be that of {part}, and has no metric {prefix}ful")
    return at, good == 1


def _silent(part: str, exc: HostError) -> Problem:
    hint = f": journalctl -u {paths.UNITS[part]} says why" if isinstance(exc, Unreachable) else ""
    return Problem(f"{part} does not answer: {exc}{hint}", may_end=True)
