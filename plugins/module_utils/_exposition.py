# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The text format of Prometheus, as the textfile collector of node_exporter takes it. Pure.

Seen of node_exporter 1.9 and 1.11: a file with a time, with two TYPE lines of a metric or without a line feed at its
end is left out as a whole, and of a series that is there twice the first value counts, of which nobody is told. So a
page has none of these, whatever is added to it.
"""

from __future__ import annotations

import dataclasses
import typing as t

Kind = t.Literal["gauge", "counter"]


@dataclasses.dataclass(frozen=True)
class Family:
    """A metric: what it is, and a line that says what it means."""

    kind: Kind
    about: str


class Page:
    """``families`` are the metrics that it may have, by name, in the order in which they are written."""

    def __init__(self, families: t.Mapping[str, Family]) -> None:
        self._families = families
        self._samples: dict[str, dict[str, float]] = {}

    def add(self, name: str, value: float | None, /, **labels: object) -> None:
        """A value of a metric; None is no value, and so is a second one of the same series."""
        if name not in self._families:
            raise KeyError(name)
        if value is not None:
            shown = ",".join(f'{label}="{escaped(str(text))}"' for label, text in labels.items())
            self._samples.setdefault(name, {}).setdefault(f"{{{shown}}}" if shown else "", value)

    def text(self) -> str:
        """Metrics without values are left out. Empty without any."""
        return "".join(
            f"# HELP {name} {_one_line(family.about)}\n# TYPE {name} {family.kind}\n"
            + "".join(f"{name}{labels} {_number(value)}\n" for labels, value in self._samples[name].items())
            for name, family in self._families.items()
            if name in self._samples
        )


def escaped(text: str) -> str:
    """The value of a label. What is not UTF-8 on the host is shown as question marks."""
    printable = text.encode("utf-8", "replace").decode()
    return printable.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _one_line(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")


def _number(value: float) -> str:
    """A switch is 0 or 1; a whole number has no point and no exponent."""
    return str(int(value)) if value == int(value) else repr(float(value))
