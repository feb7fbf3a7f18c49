# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Where the programs of a part are, of Debian's packages or a release of the vendor, and what their version can do."""

from __future__ import annotations

import collections
import dataclasses
import re
import typing as t

from ....module_utils._release import paths, plan
from ..built import Check, Data, Question
from ..platform import Platform

PARTS = {"node_exporter": "node_exporter", "prometheus": "Prometheus", "alertmanager": "Alertmanager"}
# All releases that the role has unpacked.
BASE = "/opt/mlops.hosts/monitoring"
_MODULE = "mlops.hosts.release"
# In an archive of the vendor; the first is the server.
_IN_RELEASE = {
    "node_exporter": ("node_exporter",),
    "prometheus": ("prometheus", "promtool"),
    "alertmanager": ("alertmanager", "amtool"),
}
# Debian's packages call them so.
_IN_PACKAGE = {
    "node_exporter": "prometheus-node-exporter",
    "prometheus": "prometheus",
    "alertmanager": "prometheus-alertmanager",
}
# The oldest that was run.
_OLDEST = {"node_exporter": (1, 5), "prometheus": (2, 42), "alertmanager": (0, 25)}


@dataclasses.dataclass(frozen=True)
class Programs:
    """Of one part. ``package`` and ``unit`` are those of the distribution, None for a release, which has a ``version``.

    ``fallback_scrape_protocol`` and ``webhook_url_file``: what the version takes, see the role's vars.
    """

    folder: str
    server: str
    package: str | None = None
    unit: str | None = None
    version: str | None = None
    fallback_scrape_protocol: str = ""
    webhook_url_file: bool = True

    @property
    def path(self) -> str:
        return f"{self.folder}/{self.server}"

    def tool(self, name: str) -> str:
        """promtool or amtool."""
        return f"{self.folder}/{name}"


def of_parts(parts: t.Iterable[str], options: Data, platform: Platform) -> dict[str, Programs]:
    """Those of each part that runs on the host. ``problems`` has found none."""
    releases = {item["part"]: item for item in options["releases"]}
    return {
        part: _of_release(part, releases[part]) if part in releases else _of_package(part, platform.known)
        for part in parts
    }


def _of_package(part: str, known: Data) -> Programs:
    (package,) = known["parts"][part]["packages"]
    return Programs("/usr/bin", _IN_PACKAGE[part], package, known["parts"][part]["unit"], **known["programs"])


def _of_release(part: str, item: Data) -> Programs:
    return Programs(
        folder=paths.path(BASE, part, item["version"], item["sha256"]),
        server=_IN_RELEASE[part][0],
        version=item["version"],
        # Since 3.0 an answer without a Content-Type that it knows is no metrics.
        fallback_scrape_protocol="PrometheusText0.0.4" if _numbers(item["version"]) >= (3, 0) else "",
        webhook_url_file=_numbers(item["version"]) >= (0, 26),
    )


def releases(parts: t.Iterable[str], options: Data) -> list[Question]:
    """What brings them to the host, before anything else is done there."""
    return [
        Question(
            _MODULE,
            {
                "name": item["part"],
                "base": BASE,
                "programs": list(_IN_RELEASE[item["part"]]),
                **{name: item[name] for name in ("version", "url", "sha256")},
            },
        )
        for item in options["releases"]
        if item["part"] in parts
    ]


def checks(questions: t.Iterable[Question]) -> list[Check]:
    return [Check(question, lambda answer: list(answer["drift"])) for question in questions]


def problems(parts: t.Iterable[str], options: Data, platform: Platform) -> t.Iterator[str]:
    given = collections.Counter(item["part"] for item in options["releases"])
    for part in (part for part, count in given.items() if count > 1):
        yield f"monitoring_releases has {part} {given[part]} times; give it once."
    for item in options["releases"]:
        what = f"monitoring_releases[{item['part']}]"
        yield from (
            f"{what}.{words}." for words in plan.invalid(item["part"], item["version"], item["url"], item["sha256"])
        )
        oldest = _OLDEST[item["part"]]
        if _numbers(item["version"]) < oldest:
            yield f"{what}.version must be {'.'.join(map(str, oldest))} or later, not {item['version']}."
    packaged = [part for part in parts if part not in given]
    if packaged and platform.known.get("programs") is None:
        names = " and ".join(PARTS[part] for part in packaged)
        yield (
            f"Packages of {names} are known for Debian bookworm, trixie and forky, and this host is "
            f"{platform.distribution} {platform.distribution_release}; set monitoring_releases to the vendor's."
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])
