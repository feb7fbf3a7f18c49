# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What the unit of the log shipper runs beside it, and people may, without Ansible.

mlops-log-shipper ready    1 when it does not run, or a line of a source does not come as far as its sinks
mlops-log-shipper modules  1 when it runs without a module that it should have loaded
mlops-log-shipper place    before a start: where in the journal it goes on
mlops-log-shipper stopped  after a stop: whether it ended by itself
mlops-log-shipper metrics  what rsyslog prints of itself, from standard input to a file for Prometheus
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import os
import sys
import typing as t
from pathlib import Path

from .._errors import HostError
from .._journal import Journal
from .._runner import PlainRunner
from . import engines, metrics, paths, place, plan, ready

_CONNECT_S = 3


def main(argv: t.Sequence[str] | None = None) -> int:
    """0, or 1 with sentences on standard error."""
    parser = argparse.ArgumentParser(
        description="Tell whether the log shipper ships, and keep its place in the journal."
    )
    parser.add_argument("--plan", default=paths.PLAN, help="what the role wrote (default: %(default)s)")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    asked = verbs.add_parser("ready", help="1 when a line of a source does not come as far as its sinks")
    asked.add_argument("--timeout-s", type=float, default=20, help="how long a line may take (default: %(default)s)")
    verbs.add_parser("modules", help="1 when it runs without a module that it should have loaded")
    verbs.add_parser("place", help="before a start: where in the journal it goes on")
    verbs.add_parser("stopped", help="after a stop: whether it ended by itself")
    counted = verbs.add_parser("metrics", help="from what rsyslog prints of itself to a file for Prometheus")
    counted.add_argument("--to", default=paths.METRICS, help="the file (default: %(default)s)")
    arguments = parser.parse_args(argv)
    try:
        if arguments.verb == "metrics":
            return _count(Path(arguments.to))
        found = plan.read(Path(arguments.plan).read_text(encoding="utf-8", errors="replace"), arguments.plan)
        if arguments.verb == "modules":
            return _said(ready.module_problems(found, PlainRunner()))
        if arguments.verb == "ready":
            return _ready(found, arguments.timeout_s)
        if arguments.verb == "place":
            _note(place.before_start(found, Path(paths.SPOOL), place.Journalctl), "4")
            return 0
        clean = os.environ.get("SERVICE_RESULT") == "success" and ready.drained(found, paths.DRAIN_S, PlainRunner())
        place.after_stop(found, Path(paths.SPOOL), clean=clean)
    except (HostError, OSError) as exc:
        problem = str(exc) if isinstance(exc, HostError) else f"{exc.filename or paths.SPOOL}: {exc.strerror}"
        if arguments.verb in ("place", "stopped"):
            _note([f"mlops-log-shipper {arguments.verb}: {problem}"], "3")
        return _said([problem])
    return 0


def _note(sentences: t.Iterable[str], priority: str) -> None:
    """To the log of the unit that runs this, which may have no other output."""
    for sentence in sentences:
        # Without a journal there is nothing to ship, and nobody to tell.
        with contextlib.suppress(OSError):
            Journal().write({"MESSAGE": sentence, "PRIORITY": priority, "SYSLOG_IDENTIFIER": ready.IDENTIFIER})


def _count(target: Path) -> int:
    """Until the shipper ends. A reader sees a whole page at any time."""
    counters, staged = metrics.Counters(), target.with_name(f"{target.name}.new")
    for line in sys.stdin:
        counters.take(line)
        staged.write_text(counters.page())
        staged.chmod(0o644)
        os.replace(staged, target)
    return 0


def _ready(found: plan.Plan, timeout_s: float) -> int:
    """A test line is written only where nothing else is wrong. What is no failure of this host is a warning."""
    now = datetime.datetime.now(datetime.timezone.utc)
    problems = [*ready.certificate_problems(found, now), *ready.file_problems(found)]
    if problems := [*problems, *ready.unit_problems(found, PlainRunner())] or ready.peer_problems(found, _CONNECT_S):
        return _said(problems)
    waits = ready.peer_notices(found, _CONNECT_S)
    warnings = [*waits, *engines.notices(found, PlainRunner())]
    first_us = ready.place_us(found)
    lost = ready.lost_lines(found, now.strftime("%Y%m%dT%H%M%S.%f"), Journal().write, timeout_s)
    where = ", ".join(lost)
    if lost and waits:
        warnings.append(f"test lines wait behind others, and it is not known whether they come as far as {where}")
    elif lost and ready.behind(first_us, ready.place_us(found), int(now.timestamp() * 1e6)):
        warnings.append(f"it still reads what was logged before, and test lines have not come as far as {where} yet")
    elif lost:
        return _said(
            [
                f"Test lines in the journal did not come as far as (source and sink): {where}. "
                "Does journald keep lines (Storage= and MaxLevelStore= of journald.conf)? "
                f"What the shipper says: journalctl --unit={found.unit}"
            ]
        )
    _said([f"warning: {sentence}" for sentence in warnings])
    return 0


def _said(sentences: t.Sequence[str]) -> int:
    for sentence in sentences:
        sys.stderr.write(f"{sentence}\n")
    return 1 if sentences else 0
