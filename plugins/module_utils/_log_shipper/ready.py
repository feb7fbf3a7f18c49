# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Whether a shipper that runs does what its configuration says: certificates, what it complains of, and test lines."""

from __future__ import annotations

import datetime
import os
import re
import socket
import ssl
import time
import typing as t
from pathlib import Path

from .. import _certificates as certificates
from .._errors import HostError
from .._journal import Fields
from .._runner import Runner, must
from .plan import Plan

_POLL_S = 0.2
_CURSOR_TIME = re.compile(rb";t=([0-9a-f]+);x=")
_PARTIAL_CHAIN = 0x80000
IDENTIFIER = "mlops-log-shipper"


def certificate_problems(plan: Plan, now: datetime.datetime) -> list[str]:
    """Certificates that have expired or do not fit their keys: no shipper's checker looks at them."""
    found: list[str] = []
    for row in plan.certificates:
        for path in (row["ca"], row["cert"]):
            if path is not None:
                found += _expired(path, now)
        if row["cert"] is not None and row["key"] is not None:
            try:
                # Without a password it would ask whoever runs this for one.
                ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(row["cert"], row["key"], password="")
            except (OSError, ValueError) as exc:
                found.append(f"{row['cert']} and the private key {row['key']} do not fit together: {exc}")
    return list(dict.fromkeys(found))


def _expired(path: str, now: datetime.datetime) -> t.Iterator[str]:
    try:
        chain = certificates.read(path, Path(path).read_text(errors="replace"))
    except (OSError, HostError) as exc:
        yield f"{path} cannot be read: {exc}"
        return
    if not chain:
        yield f"{path} has no certificate (PEM)"
    for certificate in chain:
        # Of several authorities, one that has expired harms nobody.
        if (problem := certificates.problem(certificate, now)) and len(chain) == 1:
            yield problem


def peer_problems(plan: Plan, timeout_s: float) -> list[str]:
    """Sinks that answer, but with a certificate that their CA does not vouch for: lines would wait for them for ever.

    One that does not answer is no failure of this host. Names are left to the shipper, which knows permitted_peers.
    """
    found = []
    for row in plan.certificates:
        if not row["host"]:
            continue
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        # GnuTLS trusts an authority in the middle of a chain, too. Python 3.9 has no name for it.
        context.verify_flags |= _PARTIAL_CHAIN
        try:
            context.load_verify_locations(row["ca"]) if row["ca"] else context.load_default_certs()
            if row["cert"] is not None:
                context.load_cert_chain(row["cert"], row["key"], password="")
            with socket.create_connection((row["host"], row["port"]), timeout_s) as plain:
                context.wrap_socket(plain, server_hostname=row["host"]).close()
        except ssl.SSLCertVerificationError as exc:
            found.append(
                f"{row['ca'] or 'The system'} does not vouch for the certificate of {row['host']}:{row['port']}: "
                f"{exc.verify_message}"
            )
        except (OSError, ValueError):
            pass
    return list(dict.fromkeys(found))


def peer_notices(plan: Plan, timeout_s: float) -> list[str]:
    """Sinks that cannot be reached: no failure of this host, and nothing that anybody else would say."""
    found = []
    for row, exc in _unreached(plan, timeout_s):
        where = f"{row['host']}:{row['port']}, the sink {row['sink']}"
        if isinstance(exc, socket.gaierror):
            found.append(f"{where}, cannot be resolved ({exc.strerror}): lines wait until it can be")
        else:
            found.append(f"{where}, does not answer ({exc.strerror or exc}): lines wait until it does")
    return found


def quiet_sinks(plan: Plan, timeout_s: float) -> set[str]:
    """Sinks that cannot be reached, by name."""
    return {str(row["sink"]) for row, _exc in _unreached(plan, timeout_s)}


def _unreached(plan: Plan, timeout_s: float) -> t.Iterator[tuple[t.Mapping[str, t.Any], OSError]]:
    for row in plan.peers:
        try:
            socket.create_connection((row["host"], row["port"]), timeout_s).close()
        except OSError as exc:
            yield row, exc


def file_problems(plan: Plan) -> list[str]:
    """Files of sinks that cannot be made: shippers start without them, and try again for ever."""
    found = []
    for path in map(Path, plan.files):
        there = next(folder for folder in path.parents if os.path.lexists(folder))
        if not there.is_dir():
            found.append(f"{path} cannot be made, as {there} is no directory")
        elif path.is_dir():
            found.append(f"{path} is a directory, and has to be a file or nothing")
    return found


def unit_problems(plan: Plan, run: Runner) -> list[str]:
    """A shipper that runs, but without a part of its configuration, says so in its log and nowhere else."""
    shown = must(
        run("systemctl", "show", "--property=ActiveState", "--property=InvocationID", plan.unit),
        f"the state of {plan.unit} could not be read",
    )
    values = dict(line.partition("=")[::2] for line in shown.stdout.splitlines())
    if values.get("ActiveState") != "active":
        return [f"{plan.unit} is {values.get('ActiveState')}"]
    invocation = f"_SYSTEMD_INVOCATION_ID={values['InvocationID']}"
    said = run("journalctl", "--quiet", "--no-pager", "--output=cat", invocation)
    lines = [line for line in said.stdout.splitlines() if plan.complaints and re.search(plan.complaints, line)]
    return list(dict.fromkeys(lines))


def module_problems(plan: Plan, run: Runner, proc: Path = Path("/proc")) -> list[str]:
    """Modules that it could not load, of which it says no more than the file, or cannot when it needs them: what
    connects to a sink is loaded for the first line, which may come in a week."""
    lines, folders = unit_problems(plan, run), _module_folders(plan, run, proc) if plan.modules else set()
    return [
        f"{module}, which the package {package} has, could not be loaded: install that package again"
        for module, package in plan.modules.items()
        if any(module in line for line in lines)
        or (folders and not any((folder / f"{module}.so").exists() for folder in folders))
    ]


def _module_folders(plan: Plan, run: Runner, proc: Path) -> set[Path]:
    """Where what it has loaded lies. Files of modules have no version in their names, as those of libraries have."""
    pid = run("systemctl", "show", "--property=MainPID", plan.unit).stdout.strip().partition("=")[2]
    try:
        mapped = (proc / pid / "maps").read_text(errors="replace")
    except OSError:
        return set()
    return {Path(path).parent for path in re.findall(r"(?m) (/\S+[.]so)$", mapped)}


def drained(plan: Plan, drain_s: int, run: Runner) -> bool:
    """Whether a shipper that has just ended by itself had sent what was in its memory.

    It does not say. It does say which sinks take no lines, and with sinks that do it ends sooner than it must.
    """
    shown = run("systemctl", "show", "--property=ActiveExitTimestampMonotonic", plan.unit).stdout
    exit_us = int(shown.strip().partition("=")[2] or 0)
    if time.clock_gettime(time.CLOCK_MONOTONIC) - exit_us / 1e6 >= drain_s:
        return False
    invocation = f"_SYSTEMD_INVOCATION_ID={os.environ.get('INVOCATION_ID', '')}"
    said = run("journalctl", "--quiet", "--no-pager", "--output=cat", invocation)
    down: set[str] = set()
    for name, word in re.findall(r"action '([^']+)' (suspended|resumed)", said.stdout):
        (down.add if word == "suspended" else down.discard)(name)
    return not down


def lost_lines(
    plan: Plan,
    mark: str,
    write: t.Callable[[Fields], None],
    timeout_s: float,
    clock: t.Callable[[], float] = time.monotonic,
    sleep: t.Callable[[float], None] = time.sleep,
) -> list[str]:
    """Writes a test line for each source; returns each "source sink" that it was not routed to in time."""
    for line in plan.lines:
        write(_entry(line, mark))
    end = clock() + timeout_s
    while lost := sorted(set(plan.arrivals) - _arrived(Path(plan.receipts), mark)):
        if clock() >= end:
            break
        sleep(_POLL_S)
    return lost


def behind(first_us: int | None, now_us: int | None, since_us: int) -> bool:
    """Whether it is on its way to what was written to the journal at ``since_us``: its place, at first and now, is
    before that, and has moved."""
    return first_us is not None and now_us is not None and first_us < now_us < since_us


def place_us(plan: Plan) -> int | None:
    """Of the last entry that counts as read, wherever in the file of its place the cursor is."""
    try:
        found = _CURSOR_TIME.findall(Path(plan.state).read_bytes()) if plan.state else []
    except OSError:
        return None
    return max((int(time_us, 16) for time_us in found), default=None)


def _entry(line: t.Mapping[str, str], mark: str) -> Fields:
    return {
        "MESSAGE": f"test line {mark} of source {line['source']}",
        "PRIORITY": "5",
        "SYSLOG_IDENTIFIER": IDENTIFIER,
        "MLOPS_TEST_MARK": mark,
        "MLOPS_TEST_SOURCE": line["source"],
        "MLOPS_TEST_TRANSPORT": line["transport"],
        "MLOPS_TEST_UNIT": line["unit"],
        "MLOPS_TEST_CONTAINER": line["container"],
    }


def _arrived(receipts: Path, mark: str) -> set[str]:
    found = set()
    for path in filter(Path.is_file, receipts.glob("*")):
        for line in path.read_text(errors="replace").splitlines():
            if line.startswith(f"{mark} "):
                found.add(line[len(mark) + 1 :].strip())
    return found
