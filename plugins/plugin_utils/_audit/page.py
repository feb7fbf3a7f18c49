# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The document as one HTML page that needs nothing else: no other file, no network.

What the page shows lies in it once, as JSON; a difference that many hosts have is in there once, too. The script
builds the tables from it; without scripts there are plain tables of what is wrong. The page runs no script but its own:
it names the digest of that one, so that text which gets past the escaping would still be harmless.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import pathlib
import re
import typing as t

from . import text
from .document import STATES, Document, gpu_problem

_HERE = pathlib.Path(__file__).parent
_SLOT = re.compile(r"@@([a-z_]+)@@")
# Where the name of a host goes in the address of a dashboard.
HOST = "{host}"
# What could end a script element, or its line.
_UNSAFE = {"&": "\\u0026", "<": "\\u003c", ">": "\\u003e", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_DIFFERENCE_KEYS = ("component", "kind", "item", "attribute", "want", "have")
_EVENT_KEYS = (
    "source",
    "code",
    "mnemonic",
    "severity",
    "action",
    "hardware_fault",
    "pci_address",
    "gpu_uuid",
    "count",
    "last",
    "text",
)
# Without scripts nobody can look for a host, so the page does not grow for all of them.
_MOST_PLAIN_ROWS = 200


class LinkError(Exception):
    """The address of the dashboards cannot be used; the text is for a person."""


def dashboard_url(given: str) -> str:
    """The address of the dashboard of a host, as it is; empty where there is none. Raises LinkError."""
    if given and (not given.startswith(("https://", "http://")) or HOST not in given):
        raise LinkError(
            f"audit_dashboard_url must begin with https:// or http:// and have {HOST} where the name of a host goes, "
            f"and is {given!r}"
        )
    return given


def render(document: Document, dashboard: str = "") -> str:
    """The page's text. ``dashboard``: see dashboard_url()."""
    style, script = _read("page.css"), _read("page.js")
    shown = {**payload(document), "dashboard": dashboard}
    slots = {
        "csp": (
            "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
            f"style-src {_digest(style)}; script-src {_digest(script)}"
        ),
        "style": style,
        "script": script,
        "headline": html.escape(headline(document)),
        "where": _where(document),
        "tiles": "".join(_tiles(document["summary"])),
        "plain": _plain(shown),
        "data": _json(shown),
    }
    # In one pass: what is filled in is not searched for slots.
    return _SLOT.sub(lambda found: slots[found[1]], _read("page.html"))


def headline(document: Document) -> str:
    """The whole audit in one line."""
    summary = document["summary"]
    hosts = text.count(summary["hosts"], "host")
    parts = [
        f"{summary[state]} {said}"
        for state, said in (("failed", "failed"), ("unreachable", "unreachable"), ("drift", "drifted"))
        if summary[state]
    ]
    if not summary["hosts"]:
        return "No host was audited"
    return f"{hosts}: {', '.join(parts)}" if parts else f"{hosts}, all as desired"


def payload(document: Document) -> dict[str, t.Any]:
    """What the page shows: the worst hosts first; each difference with the places in the list of hosts that have it."""
    hosts = sorted(document["hosts"], key=lambda host: STATES.index(host["state"]))
    places = {host["name"]: place for place, host in enumerate(hosts)}
    groups: dict[str, dict[str, t.Any]] = {}
    gpus: dict[str, dict[str, t.Any]] = {}
    columns: dict[str, None] = {}
    for host in hosts:
        place = places[host["name"]]
        columns.update(dict.fromkeys(one["name"] for one in host["components"]))
        for row in host["drift"]:
            shown = {key: row[key] for key in _DIFFERENCE_KEYS}
            group = groups.setdefault(json.dumps(shown, sort_keys=True), {**shown, "hosts": []})
            if place not in group["hosts"]:
                group["hosts"].append(place)
        for gpu in host["gpus"]:
            alike = {
                "host": place,
                "name": gpu.get("name") or gpu.get("pci_id"),
                "vendor": gpu.get("vendor"),
                "memory_mib": gpu.get("memory_total_mib"),
                "driver": host["driver"].get("version"),
                "health": gpu.get("health"),
                "reasons": gpu.get("health_reasons") or [],
            }
            found = gpus.setdefault(json.dumps(alike, sort_keys=True), {**alike, "which": []})
            found["which"].append(gpu.get("pci_address") if gpu.get("index") is None else gpu.get("index"))
    return {
        "started": document["started"],
        "components": list(columns),
        "hosts": [_host(host) for host in hosts],
        "differences": sorted(groups.values(), key=lambda group: -len(group["hosts"])),
        "gpus": sorted(gpus.values(), key=lambda gpu: gpu["health"] == "ok"),
        "events": sorted(
            (
                {"host": places[host["name"]], **{key: event.get(key) for key in _EVENT_KEYS}}
                for host in hosts
                for event in host["gpu_events"]
            ),
            key=lambda event: str(event["last"]),
            reverse=True,
        ),
    }


def _host(host: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    counts: dict[str, int] = {}
    for row in host["drift"]:
        counts[row["component"]] = counts.get(row["component"], 0) + 1
    cells = {}
    for one in host["components"]:
        cell: dict[str, t.Any] = {"state": one["state"]}
        if counts.get(one["name"]):
            cell["count"] = counts[one["name"]]
        if one["reason"]:
            cell["reason"] = one["reason"]
        if one["reboot_required"]:
            cell["reboot"] = True
        cells[one["name"]] = cell
    return {
        "name": host["name"],
        "state": host["state"],
        "reason": host["reason"],
        "count": len(host["drift"]),
        "cells": cells,
        "gpus": host["gpu_count"],
        "gpu_problem": gpu_problem(host),
        "gpus_bad": sum(gpu.get("health") != "ok" for gpu in host["gpus"]),
    }


def _tiles(summary: t.Mapping[str, int]) -> t.Iterator[str]:
    tiles = [("all", "hosts", summary["hosts"])]
    tiles += [(state, state, summary[state]) for state in STATES]
    for state, label, number in tiles:
        quiet = " none" if not number else ""
        yield (
            f'<button type="button" class="tile {state}{quiet}" data-state="{state}">'
            f'<span class="number">{number}</span> <span class="label">{label}</span></button>\n'
        )
    yield (
        f'<a class="tile plain" href="#differences"><span class="number">{summary["drift_items"]}</span> '
        '<span class="label">differences</span></a>\n'
    )
    if summary["gpus"]:
        bad = summary["gpus_not_ok"]
        said, label = (f"{bad} of {summary['gpus']}", "GPUs not ok") if bad else (str(summary["gpus"]), "GPUs, all ok")
        yield (
            f'<a class="tile {"failed" if bad else "plain"}" href="#{"broken-gpus" if bad else "gpus"}">'
            f'<span class="number">{said}</span> <span class="label">{label}</span></a>\n'
        )


def _where(document: Document) -> str:
    started, ended = html.escape(document["started"]), html.escape(document["ended"])
    return (
        f'<time id="started" datetime="{started}">{started.replace("T", " ").replace("Z", " UTC")}</time> '
        f'<span id="ago"></span> · ended {ended[11:19]} · on <b>{html.escape(document["controller"])}</b> · '
        f"<code>{html.escape(document['playbook'])}</code>{_not_in_run(document['not_in_run'])}"
    )


def _not_in_run(names: t.Sequence[str]) -> str:
    """A page of a part of the fleet must not pass for one of all of it."""
    if not names:
        return ""
    said = f"{text.count(len(names), 'host')} of the inventory not in this run: {text.some(names)}"
    return f' · <b id="not-in-run">{html.escape(said)}</b>'


def _plain(shown: t.Mapping[str, t.Any]) -> str:
    """Tables of what is wrong, for readers without scripts."""
    hosts = shown["hosts"]
    wrong = [host for host in hosts if host["state"] != "ok" or host["gpus_bad"] or host["gpu_problem"]]
    parts = [
        _table(
            "Hosts that are not ok",
            ("Host", "State", "Differences", "Reason"),
            [(host["name"], host["state"], str(host["count"]), host["reason"] or "") for host in wrong],
        ),
        _table(
            "Differences",
            ("Component", "Difference", "Hosts"),
            [
                (row["component"], text.difference(row), ", ".join(hosts[place]["name"] for place in row["hosts"]))
                for row in shown["differences"]
            ],
        ),
        _table(
            "GPUs that are not ok",
            ("Host", "GPUs", "Health", "Reasons"),
            [
                (
                    hosts[gpu["host"]]["name"],
                    f"{gpu['name']} ({', '.join(map(str, gpu['which']))})",
                    str(gpu["health"]),
                    " ".join(gpu["reasons"]),
                )
                for gpu in shown["gpus"]
                if gpu["health"] != "ok"
            ],
        ),
        _table(
            "GPU events of the last seven days",
            ("Host", "Time", "Severity", "Event", "Action"),
            [
                (
                    hosts[event["host"]]["name"],
                    str(event["last"]),
                    str(event["severity"]),
                    str(event["text"]),
                    str(event["action"]),
                )
                for event in shown["events"]
            ],
        ),
    ]
    return "".join(parts)


def _table(caption: str, heads: t.Sequence[str], rows: t.Sequence[t.Sequence[str]]) -> str:
    if not rows:
        return ""
    more = len(rows) - _MOST_PLAIN_ROWS
    note = f"<p>{more} more are in drift.json.</p>" if more > 0 else ""
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in heads)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>\n" for row in rows[:_MOST_PLAIN_ROWS]
    )
    return f"<h2>{html.escape(caption)}</h2><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{note}"


def _json(shown: t.Mapping[str, t.Any]) -> str:
    encoded = json.dumps(shown, ensure_ascii=False, separators=(",", ":"))
    return re.sub("|".join(_UNSAFE), lambda found: _UNSAFE[found[0]], encoded)


def _digest(text: str) -> str:
    """How a Content-Security-Policy names an inline script or style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
