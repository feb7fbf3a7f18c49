# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What the gateway's unit runs, and people may, without Ansible.

mlops-gateway prepare FILE ...   before a start: fit the saved states of servers to these files of HAProxy
mlops-gateway record             after a start: wait for the worker, and record what it runs
mlops-gateway reload             bring what runs to what is on disk, or say why not
mlops-gateway check              1 when what is on disk is not what runs, or nothing runs
"""

from __future__ import annotations

import argparse
import os
import sys
import typing as t

from .._errors import HostError
from . import paths, reload
from .host import Gateway


def main(argv: t.Sequence[str] | None = None, *, gateway: Gateway | None = None) -> int:
    """0, or 1 with a sentence on standard error."""
    parser = argparse.ArgumentParser(description="Reload the gateway, and tell whether what is on disk is what runs.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    before = verbs.add_parser("prepare", help="before a start: fit the saved states of servers to the files")
    before.add_argument("files", nargs="*", default=[paths.HAPROXY_CFG], help="files of HAProxy")
    verbs.add_parser("record", help="after a start: wait for the worker, and record what it runs")
    verbs.add_parser("reload", help="bring what runs to what is on disk, or say why not")
    verbs.add_parser("check", help="1 when what is on disk is not what runs")
    arguments = parser.parse_args(argv)
    here = gateway or Gateway()
    # HAProxy goes back to the folder that it was started in, which its user may not enter.
    os.chdir("/")
    try:
        if arguments.verb == "prepare":
            reload.prepare(here, arguments.files)
        elif arguments.verb == "record":
            # From systemd, in ExecStartPost.
            reload.record(here, master=int(os.environ.get("MAINPID", 0)))
        elif arguments.verb == "reload":
            done = reload.reload(here)
            changed = f"its maps are changed: {', '.join(done.maps)}" if done.maps else "new"
            sys.stdout.write(f"worker {done.worker} serves, {changed}\n")
        else:
            for reason in (found := reload.compared(here)):
                sys.stderr.write(f"{reason}\n")
            return 1 if found else 0
    except HostError as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    return 0
