# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""A second rsyslogd, separate from that of the site.

In a shared rsyslogd the files of others decide what becomes of our lines (``& stop``, ``$DefaultRuleset``, an open
``$RuleSet``), a module cannot be loaded twice, and settings such as ``$PrivDropToUser`` or the TLS of imtcp are one for
all.
"""

from __future__ import annotations

import typing as t

from ...built import Data
from ..pipeline import CONFIG_DIR, NAME, RECEIPTS, SPOOL, UNIT_FILE, Pipeline, Source, once, unit_pattern
from .base import pem_files, shown_receiver, shown_sink


class Rsyslog:
    name: t.ClassVar[str] = "rsyslog"
    supports: t.ClassVar[frozenset[str]] = frozenset({"relp_tls", "syslog_tls"})
    # A sink that does not answer is no failure of this host: its lines wait in the buffer.
    complaints: t.ClassVar[str] = (
        "(?i)could not (create|load|interpret|be accessed|bind|activate)|not known -- typo|error during parsing"
        "|error reading|cannot open"
    )
    reopen: t.ClassVar[str] = "HUP"
    config: t.ClassVar[str] = f"{CONFIG_DIR}/rsyslog.conf"

    def __init__(self, known: Data) -> None:
        self._known = known

    def packages(self, pipeline: Pipeline) -> list[str]:
        relp = any(endpoint.type == "relp_tls" for endpoint in pipeline.endpoints)
        needs = {"always": True, "tls": bool(pipeline.endpoints), "relp": relp}
        return once(name for need, needed in needs.items() if needed for name in self._known["packages"][need])

    def validate(self, path: str) -> list[str]:
        return [self._known["program"], "-N1", "-f", path]

    def files(self, pipeline: Pipeline) -> list[dict[str, t.Any]]:
        return [
            {
                "path": UNIT_FILE,
                "template": "rsyslog.service.j2",
                "template_vars": {
                    "__log_shipper_command": f"{self._known['program']} -n -iNONE -f {self.config}",
                    "__log_shipper_runtime": NAME,
                    "__log_shipper_receives": bool(pipeline.receivers),
                },
            },
            {
                "path": self.config,
                "template": "rsyslog.conf.j2",
                "template_vars": {
                    "__log_shipper_spool": SPOOL,
                    "__log_shipper_receipts": RECEIPTS,
                    "__log_shipper_sinks": [
                        {**shown_sink(sink), "condition": " or ".join(map(condition, pipeline.routed(sink)))}
                        for sink in pipeline.sinks
                    ],
                    "__log_shipper_receivers": list(map(shown_receiver, pipeline.receivers)),
                },
                "validate": self.validate("{staged}"),
                "validate_with": [pem["path"] for pem in pem_files(pipeline)],
            },
        ]


def condition(source: Source) -> str:
    """RainerScript. journald vouches for names that begin with an underscore: no program can forge them."""
    if source.type == "kernel":
        return '$!mlops_transport == "kernel"'
    patterns = "|".join(map(unit_pattern, source.units))
    return f'($!mlops_unit != "" and re_match($!mlops_unit, "^({patterns})\\$"))'
