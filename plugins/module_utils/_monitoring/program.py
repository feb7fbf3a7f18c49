# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What the units of the monitoring run beside them, and people may, without Ansible.

mlops-monitoring check         1 when a part does not run what is on disk; says which targets are down, too
mlops-monitoring reload PART   from a unit: have prometheus or alertmanager read its files, or say why it does not
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import typing as t
from pathlib import Path

from .._errors import HostError
from .._http import Fetch
from .._http_plain import PlainFetch
from .._runner import PlainRunner, Runner, must
from . import paths, plan, reload, running

_RELOAD_S = 60.0


def main(argv: t.Sequence[str] | None = None, *, run: Runner | None = None, fetch: Fetch | None = None) -> int:
    """0, or 1 with sentences on standard error."""
    parser = argparse.ArgumentParser(description="Tell whether the monitoring of this host runs what is on disk.")
    parser.add_argument("--plan", default=paths.PLAN, help="what the role wrote (default: %(default)s)")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    asked = verbs.add_parser("check", help="1 when a part does not run what is on disk")
    asked.add_argument("--repair", action="store_true", help="reload what runs files that are not those on disk")
    asked.add_argument("--timeout-s", type=float, default=0, help="how long a part may start (default: %(default)s)")
    told = verbs.add_parser("reload", help="from a unit: have a part read its files, or say why it does not")
    told.add_argument("part", choices=sorted(reload.CHECKS))
    arguments = parser.parse_args(argv)
    ask, start = fetch or PlainFetch(), run or PlainRunner()
    try:
        found = plan.read(Path(arguments.plan).read_text(encoding="utf-8", errors="replace"), arguments.plan)
        if arguments.verb == "reload":
            # From systemd, in ExecReload.
            pid = int(os.environ.get("MAINPID", 0))
            if not pid:
                raise HostError(f"reload needs MAINPID: run systemctl reload {paths.UNITS[arguments.part]}")
            reload.reload(arguments.part, found, run=start, fetch=ask, hang_up=lambda: os.kill(pid, signal.SIGHUP))
            return 0
        if arguments.repair:
            for unit in [one.stale for one in running.found(found, ask) if one.stale]:
                done = start("systemctl", "reload", unit, timeout_s=_RELOAD_S)
                must(done, f"{unit} runs files that are not those on disk")
        problems = running.problems(found, ask, arguments.timeout_s)
        if not problems:
            for note in running.notes(found, ask):
                sys.stdout.write(f"{note}\n")
    except (HostError, OSError) as exc:
        problems = [str(exc)]
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    return 1 if problems else 0
