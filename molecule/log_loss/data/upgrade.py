#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives a host of the scenario log_loss the rsyslog of Debian forky while lines wait, and then its own one again.

    upgrade.py

Prints what became of the lines, as tools/reliability_rows.py takes it, and says on standard error what it does.
"""

from __future__ import annotations

import json
import re
import sys
import time
import typing as t

from loss import RECEIVERS, SEARCH, SENDERS, SHIPPER, Box, Run

LINES = 2000
# Of demo.yml: the unit whose lines wait in the journal, and the one whose lines are dropped when a buffer is full.
BLOCK, DROP = "mlops-model-num", "mlops-model-spare"
# As long as rsyslog takes to read them, and to see that no sink answers.
READ_S = 15
SOURCES = "/etc/apt/sources.list.d/forky.sources"
# Of forky is taken what is named, and what that needs.
OFFER = f"""
sed -n '/^$/q;p' /etc/apt/sources.list.d/debian.sources | sed 's/^Suites:.*/Suites: forky/' > {SOURCES}
printf 'Package: *\\nPin: release n=forky\\nPin-Priority: 100\\n' > /etc/apt/preferences.d/forky
apt-get update --quiet
"""
WITHDRAW = f"rm {SOURCES} /etc/apt/preferences.d/forky; apt-get update --quiet"
INSTALL = "DEBIAN_FRONTEND=noninteractive apt-get install --quiet --yes --allow-downgrades"


def versions(box: Box) -> dict[str, str]:
    """Of rsyslog and of each package of its modules."""
    shown = box.sh("dpkg-query --show --showformat='${db:Status-Status} ${Package} ${Version}\\n' 'rsyslog*'")
    rows = (line.split() for line in shown.splitlines())
    return {row[1]: row[2] for row in rows if row[0] == "installed"}


def stopped(box: Box) -> tuple[int, str]:
    """Seconds that a stop took, and what systemd says of it: success, timeout, signal or core-dump."""
    begun = time.monotonic()
    box.sh(f"systemctl stop {SHIPPER}")
    took_s = round(time.monotonic() - begun)
    return took_s, box.sh(f"systemctl show --property=Result --value {SHIPPER}")


def step(run: Run, install: str) -> list[dict[str, t.Any]]:
    """Another version is installed while the same number of lines waits for each sink."""
    (box,) = run.senders
    was = versions(box)
    mark = f"{run.mark}{re.sub('[^0-9]', '', was['rsyslog'])}"
    run.log_host.sh(f"systemctl stop {RECEIVERS}")
    # First: a sink that blocks stops the reading of the journal.
    for unit, name in ((DROP, f"{mark}drop"), (BLOCK, f"{mark}block")):
        run.write("they will wait", LINES, unit=unit, mark=name)
        run.all_written()
    time.sleep(READ_S)
    box.sh(install)
    now = versions(box)
    run.say(f"rsyslog {was['rsyslog']} became {now['rsyslog']}")
    took_s, result = stopped(box)
    run.say(f"stopped in {took_s} s: {result}")
    box.sh(f"systemctl start {SHIPPER}")
    run.log_host.sh(f"systemctl start {RECEIVERS}")
    shipper, sinks = SENDERS[box.name]
    rows = [("block", sink, f"{mark}block-{box.name}", place) for sink, place in sinks.items()]
    rows.append(("drop_newest", "opensearch", f"{mark}drop-{box.name}", SEARCH))
    found = run.arrived([(name, place) for _what, _sink, name, place in rows], LINES)
    return [
        {
            **run.row(shipper, sink, what, LINES, found[f"{name} {place}"]),
            "was": was["rsyslog"],
            "now": now["rsyslog"],
            "stop_s": took_s,
            "result": result,
        }
        for what, sink, name, place in rows
    ]


def main() -> int:
    run = Run(LINES)
    run.senders = [Box("rsyslog")]
    (box,) = run.senders
    before = versions(box)
    box.sh(OFFER)
    try:
        found = step(run, f"{INSTALL} --target-release=forky {' '.join(before)}")
        found += step(run, f"{INSTALL} {' '.join(f'{name}={version}' for name, version in before.items())}")
    finally:
        box.sh(WITHDRAW)
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
