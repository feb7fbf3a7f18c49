# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write docs/support-matrix.md and tables of the README, from runs (tests/runs.json) and claims (tests/claims.yml).

    support_matrix.py          write the pages
    support_matrix.py --take   take in what this checkout has run since, and write them

A claim is a line of the README with the runs behind it. The tool writes nothing, and `make check` fails, when a claim
names a run that is not recorded, or one that did not have what is claimed: a distribution, or a program that is real.
"""

from __future__ import annotations

import collections
import sys
import typing as t
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path[0] = str(ROOT)

from tools import runs

CLAIMS = ROOT / "tests" / "claims.yml"
README = ROOT / "README.md"
PAGE = ROOT / "docs" / "support-matrix.md"
FAMILIES = ("Debian", "Ubuntu", "Enterprise Linux")
# A run of before runs were noted: somebody said that it passed.
UNRECORDED = "not recorded"
_KEYS = {"what", "how", "runs", "distributions", "simulates", "real"}

Records = t.Mapping[str, runs.Record]
Claims = t.Mapping[str, t.Any]

_HEAD = """# What was run

Made by `make matrix` of what the rings of tests recorded of their runs, in `tests/runs.json`. **Real** is the
distribution itself in a container with systemd, or the program of its vendor; *simulated* is a Debian that says to be
another distribution, or a fake package under the true name. No GPU was in any of these hosts.

A run that is *not recorded* passed before runs were recorded: which versions it had is not known, and it counts for no
table but the last.
"""


def problems(claims: Claims, records: Records) -> list[str]:
    """Claims without a run behind them, each in a sentence."""
    found: list[str] = []
    for row in claims["rows"]:
        what = row["what"]
        if unknown := sorted(row.keys() - _KEYS):
            found.append(f"{what}: a claim has {', '.join(sorted(_KEYS))}, and this has {', '.join(unknown)}")
        if not row.get("runs"):
            found.append(f"{what}: a claim needs a run")
        missing = [name for name in row.get("runs", ()) if name not in records]
        found += [f"{what}: no run {name} is recorded" for name in missing]
        behind = [records[name] for name in row.get("runs", ()) if name in records]
        # Of a run that is not recorded nobody knows what it had.
        if any(record.get("hosts") is None for record in behind) or missing:
            continue
        hosts = [host for record in behind for host in record["hosts"]]
        real = {host["runs"] for host in hosts if not host["simulates"]}
        simulated = {host["simulates"] for host in hosts}
        programs = {name for host in hosts for name, one in host["components"].items() if not one["simulated"]}
        for key, there in (("distributions", real), ("simulates", simulated), ("real", programs)):
            found += [f"{what}: no run had {name} ({key})" for name in row.get(key, ()) if name not in there]
    return found


def scenarios() -> set[str]:
    """Names of the runs that there can be of scenarios."""
    return {f"molecule/{path.parent.name}" for path in ROOT.glob("molecule/*/molecule.yml")}


def unknown_scenarios(claims: Claims, records: Records) -> list[str]:
    """Runs of scenarios that are not there any more."""
    named = {*records, *(name for row in claims["rows"] for name in row.get("runs", ()))}
    return sorted(name for name in named - scenarios() if name.startswith("molecule/"))


def readme(text: str, claims: Claims, records: Records) -> str:
    for name, table in (("distributions", _distributions(claims, records)), ("runs", _claimed(claims, records))):
        begin, end = f"<!-- {name}: made by make matrix -->\n", f"<!-- end of {name} -->\n"
        if begin not in text or end not in text:
            raise ValueError(f"{README.name} has no place for {name}: {begin.strip()} and {end.strip()}")
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}{table}{end}{rest.partition(end)[2]}"
    return text


def page(claims: Claims, records: Records) -> str:
    return "\n".join(
        [
            _HEAD,
            "## Roles by distribution\n",
            _by_role(claims, records),
            "## Programs\n",
            _programs(records),
            "## Runs\n",
            _runs(records),
            f"Scenarios of which no run is noted: {_names(scenarios() - records.keys()) or 'none'}.\n",
        ]
    )


def _seen(records: Records) -> dict[tuple[str, str], dict[bool, str]]:
    """By role and distribution: whether it was simulated, and the date of the last run."""
    found: dict[tuple[str, str], dict[bool, str]] = collections.defaultdict(dict)
    for record in records.values():
        for host in record.get("hosts") or ():
            for role in host["roles"]:
                dates = found[role, host["simulates"] or host["runs"]]
                simulated = host["simulates"] is not None
                dates[simulated] = max(record["date"], dates.get(simulated, ""))
    return found


def _distributions(claims: Claims, records: Records) -> str:
    """What the roles know: bold where it was run for real, slanted where it was simulated."""
    seen = _seen(records)

    def cell(role: str, family: str, known: t.Mapping[str, t.Any]) -> str:
        marked = []
        for version in known.get(family, ()):
            ways = seen.get((role, f"{family} {version}"), {})
            marked.append(f"**{version}**" if False in ways else f"*{version}*" if True in ways else f"{version}")
        return ", ".join(marked) + str(known.get("notes", {}).get(family, ""))

    rows = [
        [known.get("name", f"`{role}`"), *(cell(role, family, known) for family in FAMILIES)]
        for role, known in claims["distributions"].items()
    ]
    note = (
        "\nBold: run for real. Slanted: simulated. Plain: no run of it is noted. [All runs](docs/support-matrix.md).\n"
    )
    return _table(["role", "Debian", "Ubuntu", "RHEL, Rocky, Alma"], rows) + note


def _claimed(claims: Claims, records: Records) -> str:
    rows = [[row["what"], row["how"], _last(row["runs"], records)] for row in claims["rows"]]
    return _table(["", "how it was run", "last run"], rows)


def _last(names: t.Sequence[str], records: Records) -> str:
    """The oldest one of the last runs: what is claimed was seen no later."""
    dates = [records[name]["date"] for name in names]
    return UNRECORDED if None in dates else str(min(dates))


def _by_role(claims: Claims, records: Records) -> str:
    seen = _seen(records)
    rows = []
    for role, known in claims["distributions"].items():
        for family in FAMILIES:
            for version in known.get(family, ()):
                ways = seen.get((role, f"{family} {version}"), {})
                rows.append([f"`{role}`", f"{family} {version}", ways.get(False, ""), ways.get(True, "")])
    listed = {(row[0], row[1]) for row in rows}
    rows += [
        [f"`{role}`", distribution, ways.get(False, ""), ways.get(True, "")]
        for (role, distribution), ways in seen.items()
        if (f"`{role}`", distribution) not in listed
    ]
    return _table(["role", "distribution", "real", "simulated"], sorted(rows))


def _programs(records: Records) -> str:
    found: dict[tuple[str, str, str, str], list[tuple[str, str]]] = collections.defaultdict(list)
    for name, record in records.items():
        for host in record.get("hosts") or ():
            for program, one in host["components"].items():
                how = "simulated" if one["simulated"] else "real"
                found[program, one["version"], _as(host), how].append((record["date"], name))
    rows = [[*key, max(where)[0], _names(name for _, name in where)] for key, where in found.items()]
    return _table(["program", "version", "distribution", "", "last run", "by"], sorted(rows))


def _as(host: runs.Record) -> str:
    return f"{host['runs']} as {host['simulates']}" if host["simulates"] else str(host["runs"])


def _names(names: t.Iterable[str]) -> str:
    return ", ".join(sorted({f"`{name.rpartition('/')[2]}`" for name in names}))


def _runs(records: Records) -> str:
    rows = []
    for name, record in records.items():
        controller = record["controller"] or {}
        hosts = collections.Counter(_as(host) for host in record.get("hosts") or ())
        rows.append(
            [
                f"`{name}`",
                record["date"] or "",
                f"`{record['commit']}`" if record["commit"] else "",
                controller.get("ansible-core", ""),
                ", ".join(f"{count} {host}" if count > 1 else host for host, count in sorted(hosts.items())),
                record["evidence"],
            ]
        )
    return _table(["run", "last passed", "commit", "ansible-core", "hosts", "evidence"], rows)


def _table(head: t.Sequence[str], rows: t.Iterable[t.Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("|" + "|".join(f" {cell} " if cell else " " for cell in line) + "|\n" for line in lines)


def load() -> Claims:
    return t.cast("Claims", yaml.safe_load(CLAIMS.read_text()))


def main(argv: list[str]) -> int:
    if argv not in ([], ["--take"]):
        print(__doc__, file=sys.stderr)
        return 2
    records = runs.known() if argv else runs.recorded()
    claims = load()
    gone = [f"{name}: there is no such scenario" for name in unknown_scenarios(claims, records)]
    if found := [*problems(claims, records), *gone]:
        print("".join(f"matrix: {line}\n" for line in found), end="", file=sys.stderr)
        return 1
    runs.write(records)
    PAGE.write_text(page(claims, records))
    README.write_text(readme(README.read_text(), claims, records))
    missing = [name for name, record in records.items() if record["evidence"] == UNRECORDED]
    print(f"matrix: {len(records)} runs, of which {len(missing)} are not recorded: {', '.join(missing) or 'none'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
