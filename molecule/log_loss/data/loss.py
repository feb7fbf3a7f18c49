#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has hosts of the scenario log_loss write numbered lines while things go wrong, and counts what arrives.

    loss.py LINES
    loss.py events    what becomes of GPU faults that a simulated kernel logs

Prints what it found, as tools/reliability_rows.py takes it, and says on standard error what it does.
"""

from __future__ import annotations

import json
import pathlib
import re
import sys
import time
import typing as t

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

from tools.hosts.docker_engine import engine
from tools.reliability_rows import STORM

OUTAGE_S, CUT_S = 60, 15
# How long nothing may arrive before it is taken for all that there is: longer than shippers wait between two tries.
QUIET_S = 90
LIMIT_S = 1800
CHUNKS, PAUSE_S = 40, 0.4
RECEIVERS = "mlops-log-shipper.service log-receiver.service"
SHIPPER = "mlops-log-shipper.service"
SEARCH, LINES = "/var/lib/log-receiver/opensearch", "/var/lib/log-receiver/lines"
# Where lines of a host arrive, by the sink that they are sent to.
SENDERS: dict[str, tuple[str, dict[str, str]]] = {
    "rsyslog": (
        "rsyslog",
        {"syslog_tls": "/var/log/tls/rsyslog", "opensearch": SEARCH, "relp_tls": "/var/log/relp/rsyslog"},
    ),
    "syslogng": ("syslog_ng", {"syslog_tls": "/var/log/tls/syslogng", "opensearch": SEARCH, "http": LINES}),
}
# Which sink has a small buffer, and where its lines arrive.
SMALL = {"rsyslog": ("rsyslog", "opensearch", SEARCH), "syslogng": ("syslog_ng", "http", LINES)}
# A number that ends with its line, or with the text of JSON: a receiver that was killed may have written half of one.
COUNT = r"""
import collections, json, pathlib, re, sys
found = {}
for mark, place in json.loads(sys.argv[1]):
    count = collections.Counter()
    path = pathlib.Path(place)
    for file in path.rglob("*.log") if path.is_dir() else [path] if path.exists() else []:
        with file.open(errors="replace") as lines:
            for line in lines:
                count.update(re.findall(mark + r'-([0-9]+)["\n]', line))
    found[mark + " " + place] = [len(count), sum(number > 1 for number in count.values())]
print(json.dumps(found))
"""
# The mark, the number before the first one, the last one, and how many at once. systemd replaces what is in braces.
WRITE = f"""
i=$2
while [ $i -lt $3 ]; do
  n=$((i+$4)); if [ $n -gt $3 ]; then n=$3; fi
  seq -f "$1-%.0f" $((i+1)) $n
  i=$n; sleep {PAUSE_S}
done
"""


class Box:
    def __init__(self, name: str) -> None:
        self.name = name
        self._container = engine().containers.get(f"mlops-hosts-log_loss-{name}")

    def sh(self, script: str, *arguments: str) -> str:
        done = self._container.exec_run(["sh", "-ec", script, "sh", *arguments])
        said = str(done.output.decode(errors="replace")).strip()
        if done.exit_code:
            raise SystemExit(f"{self.name}: {script}: exit status {done.exit_code}: {said}")
        return said

    def restart(self) -> None:
        """Of the host: systemd stops what runs, and boots again."""
        self._container.restart(timeout=120)
        until = time.monotonic() + 240
        while self._container.exec_run(["systemctl", "is-active", SHIPPER, "ssh.service"]).exit_code:
            if time.monotonic() > until:
                raise SystemExit(f"{self.name} does not come up again")
            time.sleep(1)


class Run:
    def __init__(self, lines: int) -> None:
        self.mark = f"run{int(time.time())}"
        self.lines = lines
        self.log_host = Box("loghost")
        self.senders = [Box(name) for name in SENDERS]
        self.written = 0

    def say(self, words: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {words}", file=sys.stderr, flush=True)

    def write(self, name: str, number: int, *, unit: str = "mlops-model-num", mark: str = "", first: int = 0) -> None:
        """Begins to write this many lines on each host, in chunks, as the unit of a model server."""
        chunk = max(1, number // CHUNKS)
        for box in self.senders:
            box.sh(
                f'systemd-run --quiet --collect --unit={unit} --description=numbers sh -c "$1" sh "$2" "$3" "$4" "$5"',
                WRITE,
                f"{mark or self.mark}-{box.name}",
                str(first),
                str(first + number),
                str(chunk),
            )
        self.say(f"{number} lines are written: {name}")

    def batch(self, name: str, number: int) -> None:
        self.write(name, number, first=self.written)
        self.written += number

    def all_written(self) -> None:
        """All is in the journal, and on disk."""
        for box in self.senders:
            box.sh("while systemctl is-active --quiet 'mlops-model-*'; do sleep 0.5; done; journalctl --sync")

    def kill(self) -> None:
        for box in self.senders:
            box.sh(f"systemctl kill --signal=KILL {SHIPPER}")
        self.say("shippers killed")

    def counts(self, desired: t.Sequence[tuple[str, str]]) -> dict[str, tuple[int, int]]:
        found = self.log_host.sh('python3 -c "$1" "$2"', COUNT, json.dumps(desired))
        return {name: (row[0], row[1]) for name, row in json.loads(found).items()}

    def places(self) -> list[tuple[str, str]]:
        return [
            (f"{self.mark}-{name}", place) for name, (_shipper, sinks) in SENDERS.items() for place in sinks.values()
        ]

    def arrived(self, desired: t.Sequence[tuple[str, str]], number: int) -> dict[str, tuple[int, int]]:
        """Waits until this many have arrived at each place, or nothing more does."""
        begun = last = time.monotonic()
        before: dict[str, tuple[int, int]] = {}
        while True:
            found = self.counts(desired)
            if found != before:
                before, last = found, time.monotonic()
                self.say(
                    ", ".join(
                        f"{name.rsplit('/', 2)[-2]}/{name.rsplit('/', 1)[-1]} {row[0]}" for name, row in found.items()
                    )
                )
            now = time.monotonic()
            if all(row[0] >= number for row in found.values()) or now - last > QUIET_S or now - begun > LIMIT_S:
                return found
            time.sleep(3)

    def faults(self) -> list[dict[str, t.Any]]:
        part = self.lines // 4
        self.batch("nothing goes wrong", part)
        self.all_written()
        self.arrived(self.places(), part)
        for box in self.senders:
            box.sh("journalctl --rotate; journalctl --vacuum-time=1s")
        self.say("journals rotated and vacuumed")

        self.batch("receivers go down", part)
        time.sleep(4)
        self.log_host.sh(f"systemctl stop {RECEIVERS}")
        down = time.monotonic()
        self.say("receivers down")
        time.sleep(15)
        self.kill()
        time.sleep(10)
        for box in self.senders:
            box.sh("journalctl --rotate")
        self.all_written()
        time.sleep(max(0.0, OUTAGE_S - (time.monotonic() - down)))
        self.log_host.sh(f"systemctl start {RECEIVERS}")
        self.say(f"receivers up after {time.monotonic() - down:.0f} s")

        self.batch("receivers are there again", part)
        time.sleep(6)
        self.kill()
        time.sleep(6)
        routes = [box.sh("ip route show default; ip link set eth0 down") for box in self.senders]
        self.say("network cut")
        time.sleep(CUT_S)
        for box, route in zip(self.senders, routes):
            box.sh(f"ip link set eth0 up; ip route add {route}")
        self.say("network back")
        self.all_written()
        # By themselves: what is stuck would be freed by the restart.
        before = self.arrived(self.places(), self.written)
        stuck = {place: self.written - row[0] for place, row in before.items()}

        self.batch("hosts restart", self.lines - self.written)
        self.all_written()
        for box in self.senders:
            begun = time.monotonic()
            box.restart()
            self.say(f"{box.name} restarted in {time.monotonic() - begun:.0f} s")
        found = self.arrived(self.places(), self.lines)
        rows = []
        for name, (shipper, sinks) in SENDERS.items():
            for sink, place in sinks.items():
                key = f"{self.mark}-{name} {place}"
                rows.append({**self.row(shipper, sink, "faults", self.lines, found[key]), "stuck": stuck[key]})
        return rows

    @staticmethod
    def row(shipper: str, sink: str, what: str, lines: int, found: tuple[int, int]) -> dict[str, t.Any]:
        return {"shipper": shipper, "sink": sink, "what": what, "lines": lines, "arrived": found[0], "twice": found[1]}

    def full(self, name: str) -> dict[str, t.Any]:
        """More lines than the small buffer of a shipper holds, while nobody takes them."""
        box, number, (shipper, sink, place) = Box(name), max(10_000, self.lines // 10), SMALL[name]
        before = self._dropped(box)
        self.log_host.sh("systemctl stop log-receiver.service")
        mark = f"{self.mark}full"
        self.senders = [box]
        self.write("the small buffer is full", number, unit="mlops-model-few", mark=mark)
        self.all_written()
        last = -1
        while (now := self._dropped(box)) != last:
            last = now
            # rsyslog tells each 15 s.
            time.sleep(20 if name == "rsyslog" else 5)
        self.log_host.sh("systemctl start log-receiver.service")
        found = self.arrived([(f"{mark}-{name}", place)], number - (last - before))
        (row,) = found.values()
        return {**self.row(shipper, sink, "full", number, row), "counted": last - before}

    @staticmethod
    def _dropped(box: Box) -> int:
        if box.name == "rsyslog":
            page = box.sh("cat /var/lib/node-exporter/mlops_log_shipper.prom")
            counted = re.findall(r'^mlops_log_shipper_dropped_lines_total[{]sink="small"[}] (.*)$', page, re.MULTILINE)
            return int(float(counted[0])) if counted else 0
        said = box.sh("syslog-ng-ctl stats --control=/run/mlops-log-shipper/syslog-ng.ctl")
        return int((re.findall(r"^dst[.]http;mlops_sink_small.*;dropped;([0-9]+)$", said, re.MULTILINE) or ["0"])[0])


class Faults:
    """Lines of a simulated kernel on a host, and the events that they become at the log host."""

    def __init__(self, name: str) -> None:
        self._box, self._log_host, self._shipper = Box(name), Box("loghost"), SENDERS[name][0]
        self._folder = SENDERS[name][1]["syslog_tls"]
        gpu = self._box.sh("nvidia-smi --query-gpu=uuid,pci.bus_id --format=csv,noheader").splitlines()[0]
        self._uuid, bus_id = gpu.split(", ")
        # The driver logs an address without its function, and with four digits of the domain.
        self._address = f"PCI:{bus_id[4:].rpartition('.')[0].lower()}"

    def _log(self, number: int, xid: int) -> None:
        text = f"NVRM: Xid ({self._address}): {xid}, pid=4711, name=python, simulated"
        self._box.sh('/opt/simulated_kernel.py lines "$1" "$2"', str(number), text)

    def _events(self, xid: int) -> list[str]:
        said = self._log_host.sh('grep -rhF "$1" "$2" || true', f'xid="{xid}"', self._folder)
        return [line for line in said.splitlines() if f'gpu_uuid="{self._uuid}"' in line]

    def _new(self, xid: int, number: int) -> list[str]:
        """Logs lines and waits for the first event, up to a minute."""
        before, begun = len(self._events(xid)), time.monotonic()
        self._log(number, xid)
        while len(found := self._events(xid)) == before and time.monotonic() - begun < 60:
            time.sleep(0.1)
        return found[before:]

    def row(self) -> dict[str, t.Any]:
        begun = time.monotonic()
        if not self._new(79, 1):
            raise SystemExit(f"{self._box.name}: no event of Xid 79 has arrived with {self._uuid}")
        seconds = time.monotonic() - begun
        before = len(self._events(31))
        self._new(31, STORM)
        # Others would come with the next count.
        time.sleep(15)
        storm = self._events(31)[before:]
        counted = sum(int(count) for line in storm for count in re.findall(r'count="([0-9]+)"', line))
        return {"shipper": self._shipper, "seconds": round(seconds, 1), "events": len(storm), "counted": counted}


def main(lines: str) -> int:
    if lines == "events":
        print(json.dumps([Faults(name).row() for name in SENDERS]))
        return 0
    run = Run(int(lines))
    print(json.dumps([*run.faults(), *map(run.full, SMALL)]))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
