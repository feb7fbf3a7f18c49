# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Reads single values of the text format of Prometheus."""

from __future__ import annotations

import re

_LABEL = re.compile(r'([A-Za-z_][A-Za-z0-9_]*)="((?:[^"\\]|\\.)*)"')


def value(text: str, metric: str) -> float | None:
    """Of the only series of a metric without labels; None where there is none."""
    found = re.search(rf"^{re.escape(metric)} (\S+)", text, re.MULTILINE)
    return None if found is None else float(found[1])


def labels(text: str, metric: str, label: str) -> list[str]:
    """Values of one label of all series of a metric, in order."""
    found = []
    for line in re.findall(rf"^{re.escape(metric)}{{(.*)}} \S+", text, re.MULTILINE):
        found += [content for name, content in _LABEL.findall(line) if name == label]
    return found
