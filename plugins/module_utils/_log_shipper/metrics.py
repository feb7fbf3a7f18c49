# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What rsyslog counts (impstats, one JSON object a line), for Prometheus. Pure but for its clock.

A queue with a file is two, ``NAME`` in memory and ``NAME[DA]`` on disk: a line that the second has no room for was
taken by the first. An action has the name of the queue before it, and another origin. Seen with 8.2302, 8.2504 and
8.2608.

Its ``suspended.duration`` stays as it is for an action that is tried again for ever, which all of ours are. What shows
that a sink takes nothing is that lines waited and not one of them was processed since the last time.
"""

from __future__ import annotations

import json
import re
import time
import typing as t

from .._exposition import Family, Page

_SINK = re.compile(r"mlops_sink_(?P<sink>[A-Za-z0-9_-]+)(\[DA\])?\Z")
_FAMILIES = {
    "mlops_log_shipper_read_lines_total": Family("counter", "Entries read from the journal."),
    "mlops_log_shipper_buffered_lines": Family("gauge", "Lines that wait for a sink in the shipper."),
    "mlops_log_shipper_dropped_lines_total": Family("counter", "Lines that a full buffer had no room for."),
    "mlops_log_shipper_sink_suspended_seconds_total": Family("counter", "How long lines waited and a sink took none."),
    "mlops_log_shipper_failed_lines_total": Family("counter", "Lines that a sink refused."),
}


class Counters:
    """The last values of each object that rsyslog tells of, and for how long each sink took nothing. ``clock``: seconds
    of any beginning."""

    def __init__(self, clock: t.Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: dict[tuple[str, str], t.Mapping[str, t.Any]] = {}
        self._told_at: dict[str, float] = {}
        self._idle_s: dict[str, float] = {}

    def take(self, line: str) -> None:
        """What is no object with a name is left out."""
        try:
            found = json.loads(line)
        except ValueError:
            return
        if isinstance(found, dict) and isinstance(found.get("name"), str):
            if found.get("origin") == "core.action" and _SINK.match(found["name"]):
                self._idle(found["name"], found)
            self._last[found["name"], str(found.get("origin"))] = found

    def _idle(self, name: str, found: t.Mapping[str, t.Any]) -> None:
        """Before ``found`` is the last of this action; its queues are told of after it."""
        now, before = self._clock(), self._last.get((name, "core.action"))
        queues = (self._last.get((queue, "core.queue"), {}) for queue in (name, f"{name}[DA]"))
        waited = any(queue.get("size") for queue in queues)
        stuck = before is not None and waited and found.get("processed") == before.get("processed")
        self._idle_s[name] = self._idle_s.get(name, 0) + (now - self._told_at[name] if stuck else 0)
        self._told_at[name] = now

    def page(self) -> str:
        """The text format of Prometheus, with a line feed at its end."""
        rows: dict[tuple[str, str], float] = {}

        def add(metric: str, sink: str, value: t.Any) -> None:
            if isinstance(value, (int, float)):
                rows[metric, sink] = rows.get((metric, sink), 0) + value

        for (name, origin), values in sorted(self._last.items()):
            sink = _SINK.match(name)
            if origin == "imjournal":
                add("mlops_log_shipper_read_lines_total", "", values.get("read", values.get("submitted")))
            elif sink and origin == "core.queue":
                add("mlops_log_shipper_buffered_lines", sink["sink"], values.get("size"))
                for reason in ("discarded.full", "discarded.nf"):
                    add("mlops_log_shipper_dropped_lines_total", sink["sink"], values.get(reason))
            elif sink and origin == "core.action":
                add("mlops_log_shipper_failed_lines_total", sink["sink"], values.get("failed"))
                add("mlops_log_shipper_sink_suspended_seconds_total", sink["sink"], round(self._idle_s[name], 3))
        page = Page(_FAMILIES)
        for (metric, name), value in sorted(rows.items()):
            page.add(metric, value, **({"sink": name} if name else {}))
        return page.text()
