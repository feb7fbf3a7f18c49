# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes docs/reliability.md from what a whole run saw, failures included. A run of some tests leaves it alone."""

from __future__ import annotations

import collections
import datetime
import importlib.metadata
import platform
import re
import typing as t
from pathlib import Path

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._component.steps import PHASES, STEPS
from host import LIMITS, SUITE

from tools import reliability_rows
from tools.hosts.docker_engine import ROOT

PATH = ROOT / "docs/reliability.md"
_WORDS = 240
Row = tuple[int, str, str, str, str]

_HEAD = """# What the engine survives

Written by `make faults`, do not edit. Last run: {date}, {count}; ansible-core {core}, Debian {suite}.
{failures}
A component with two packages, a repository, a user, directories, files, a shared JSON file, a link, an absent path and
two units is changed on a real systemd host by a real `ansible-playbook` over pipelined SSH. The change is stopped at a
point, a fault is done to it, and the next run is started. Then an observer that does not use Ansible looks at the host.

**What is promised**: the host is wholly **old** or wholly **new**. That is, the bytes, owner and mode of every path,
links, users, packages with their version and lock, the state of the units, and what the service answers over TCP;
nothing of the change is left over; `dpkg --audit` is silent; and one more run finds nothing to change, so that the
ledger agrees with the disk. Up to the commit the way is back; from the commit on it is forward. Asking for the same
again always ends new.

## Stopped before each step

Rows are the steps of the transaction, then what the engine does around them: before the package manager, after the
commit, and on the way back from a change that failed (`undo` to `close`).

- *module killed, same again*: `kill -9` of the module, then the same component is asked for again.
- *module killed, something else*: packages change too; afterwards another component is asked for.
- *controller killed*, *sshd killed*: `kill -9` of the whole `ansible-playbook`, or of the session on the host. The
  module goes on alone, with nobody to answer to, and ends the change where no package moves. What is left is for the
  next run.
- *power cut*: every process of the host dies at once and it boots again. Then another component is asked for.

"""
_TAIL = """
## What is simulated, and how

- A host is a container with systemd, sshd, apt and dpkg of Debian {suite}; packages come from a signed repository of
  simulated packages.
- A run of Ansible is a copy of a process that has imported Ansible and run nothing, with a process group of its own
  (`tools/warm_ansible.py`); a module that an earlier run packed is not packed again.
- A run is stopped by a file in the test host's Python, which wraps the module's own functions when it is loaded
  (`tests/faults/on_host/mlops_faults.py`). The code that runs is the code that is shipped.
- A power cut is the death of all processes, with the page cache of the machine intact: that data was written with
  `fsync` before it counted is not shown here. The kernel's boot id stays, so that the next run waits for a run that
  cannot come back; after a real boot it would not.
- A full or read-only disk is a small tmpfs in the place of one directory.
- The clock is set back by libfaketime for the Python of the run and all that it starts; the machine's own clock and the
  host's systemd keep the true time.
- Limits are shorter than on a real host: {limits}.
"""


class Report:
    """Collects the notes of all tests, from all workers."""

    def __init__(self, config: t.Any) -> None:
        self.config = config
        self.rows: list[Row] = []
        self.passed = 0
        self.failed: list[str] = []

    def pytest_runtest_logreport(self, report: t.Any) -> None:
        if report.when == "call" and report.passed:
            self.passed += 1
            self.rows += [tuple(value) for name, value in report.user_properties if name == "reliability"]
        elif not report.passed:
            self.failed.append(report.nodeid)

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        option = self.config.option
        some = option.keyword or option.collectonly or [Path(arg).name for arg in self.config.args] != ["faults"]
        if not some and exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            # Scenarios write parts of the page, which stay.
            before = PATH.read_text()
            page = text(sorted(self.rows), self.passed, sorted(set(self.failed)))
            for part in reliability_rows.PARTS.values():
                if kept := part.of_page(before):
                    page = part.written(page, kept)
            PATH.write_text(page)


def text(rows: list[Row], passed: int, failed: list[str]) -> str:
    """The whole page. Rows are order, table, row, column, outcome."""
    tables: dict[str, dict[str, dict[str, str]]] = collections.defaultdict(dict)
    for _order, table, row, column, outcome in rows:
        tables[table].setdefault(row, {})[column] = outcome
    steps = {f"`{point}`": tables["steps"].get(point, {}) for point in (*STEPS, *PHASES)}
    facts = {
        "date": datetime.datetime.now(datetime.timezone.utc).date(),
        "count": f"{passed} tests passed" + (f", {len(failed)} failed" if failed else ", none failed"),
        "failures": "".join(f"\n- **failed**: `{test}`" for test in failed) + ("\n" if failed else ""),
        "core": importlib.metadata.version("ansible-core"),
        "suite": SUITE,
        "limits": ", ".join(f"`{name}` {value} s" for name, value in LIMITS.items()),
    }
    return (
        _HEAD.format(**facts)
        + _grid("step", steps)
        + "\n## Killed in the middle of a step\n\n"
        + _list("when", tables["between"], "fault", "outcome")
        + "\n## The package manager at work\n\n"
        + _grid("when", tables["packages"])
        + "\n## Other faults\n\n"
        + _list("fault", tables["others"], "outcome", "what the run says")
        + "\n## Two controllers at once\n\n"
        + _list("what", tables["two"], "outcome", "what the run says")
        + _TAIL.format(**facts)
    )


def _grid(corner: str, rows: dict[str, dict[str, str]]) -> str:
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    lines = [[corner, *columns], ["---"] * (len(columns) + 1)]
    lines += [[row, *(cells.get(column, "") for column in columns)] for row, cells in rows.items()]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _list(corner: str, rows: dict[str, dict[str, str]], *header: str) -> str:
    lines = [[corner, *header], ["---"] * 3]
    lines += [[row, outcome, _plain(said)] for row, cells in rows.items() for outcome, said in cells.items()]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _plain(said: str) -> str:
    """A message without what differs from run to run, and not too long."""
    said = said.replace(platform.node(), "CONTROLLER")
    said = re.sub(r"is damaged \(.*?\)+(?=[; ]|$)", "is damaged", said)
    said = re.sub(r"\b[0-9a-f]{64}\b", "SHA256", said).replace("/a.d", "/X.d").replace("/b.d", "/X.d")
    said = re.sub(r"\b(pid|process) \d+", r"\1 N", said)
    said = re.sub(
        r"; (its last lines|last lines of \S+): .*?(?=\. The host is as it was before|$)", "", said, flags=re.S
    )
    said = " ".join(said.replace("|", "/").split())
    return said if len(said) <= _WORDS else f"{said[:_WORDS].rstrip()} …"
