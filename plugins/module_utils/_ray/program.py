# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What the unit of Ray runs, and people may, without Ansible.

mlops-ray prepare           before a start: say what is in its way, and wait for the head
mlops-ray joined            after a start: wait until the cluster counts this host
mlops-ray nodes [ADDRESS …] list the hosts that the cluster counts; 1 when one of these is not among them
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import typing as t
from pathlib import Path

from .._errors import HostError
from . import node, paths
from .cluster import Cluster, RayCluster


def main(
    argv: t.Sequence[str] | None = None,
    *,
    config: node.Config | None = None,
    host: node.Host | None = None,
    cluster: Cluster | None = None,
) -> int:
    """0, or 1 with a sentence on standard error."""
    parser = argparse.ArgumentParser(description="Start Ray on a host of a cluster, and tell which hosts it has.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    verbs.add_parser("prepare", help="before a start: say what is in its way, and wait for the head")
    verbs.add_parser("joined", help="after a start: wait until the cluster counts this host")
    nodes = verbs.add_parser("nodes", help="list the hosts that the cluster counts")
    nodes.add_argument("address", nargs="*", help="one that must be among them")
    nodes.add_argument("--wait", type=float, default=0, metavar="SECONDS", help="for those that must be among them")
    arguments = parser.parse_args(argv)
    # For those who call it by hand; the unit has them.
    os.environ.update(paths.AUTHENTICATION)
    try:
        config = config or _read()
        host, cluster = host or node.ThisHost(), cluster or RayCluster(config.gcs)
        if arguments.verb == "prepare":
            node.prepare(config, host, cluster)
        elif arguments.verb == "joined":
            # From systemd, in ExecStartPost.
            start, process = os.environ.get("INVOCATION_ID", ""), int(os.environ.get("MAINPID", 0))
            node.joined(config, host, cluster, start=start, process=process)
        else:
            for found in node.counted(config, host, cluster, arguments.address, arguments.wait):
                sys.stdout.write(f"{found.address}{' head' if found.head else ''}\n")
    except HostError as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    return 0


def _read() -> node.Config:
    try:
        return node.Config(**json.loads(Path(paths.NODE).read_text()))
    except (OSError, ValueError, TypeError) as exc:
        raise HostError(f"{paths.NODE} cannot be read: {exc}; converge the role ray_cluster again") from exc
