# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Values as GPU tools print them: numbers with units, words, and the many ways to say "not known"."""

from __future__ import annotations

import re
import typing as t

# What nvidia-smi and the AMD tools print in place of a value, seen with and without square brackets.
NOT_KNOWN = frozenset(
    {
        "",
        "n/a",
        "err!",
        "function not found",
        "gpu is lost",
        "gpu requires reset",
        "insufficient permissions",
        "not available",
        "not found",
        "not supported",
        "requested functionality has been deprecated",
        "unknown",
        "unknown error",
    }
)
_DEPRECATION = re.compile(r"\s*\[Deprecated\b[^\]]*\]\s*$")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_VERSION = re.compile(r"\d+(?:\.\d+)+")
# Both vendors count memory in powers of two, whatever the unit is called.
_MIB = {
    "b": 2**-20,
    "kb": 2**-10,
    "kib": 2**-10,
    "mb": 1,
    "mib": 1,
    "gb": 2**10,
    "gib": 2**10,
    "tb": 2**20,
    "tib": 2**20,
}


def bare(text: str | None) -> str:
    """The text in lower case, without blanks and square brackets around it: for comparisons."""
    return (text or "").strip().strip("[]").strip().lower()


def known(text: str | None) -> str | None:
    """The text, or None where it stands for a value that the device does not give."""
    text = _DEPRECATION.sub("", text or "").strip()
    return None if bare(text) in NOT_KNOWN else text


def number(text: str | None) -> float | None:
    """The number at the start, without its unit: "400.00 W" is 400.0. None where there is no number."""
    found = _NUMBER.match(known(text) or "")
    return float(found.group()) if found else None


def whole(text: str | None) -> int | None:
    """As ``number``, rounded."""
    value = number(text)
    return None if value is None else round(value)


def yes(text: str | None) -> bool | None:
    """True for "Yes", False for "No", None for all else."""
    return {"yes": True, "no": False}.get(bare(text))


def word(text: str | None) -> str | None:
    """One of a set of words, in lower case and with underscores: "Drain and Reset" is "drain_and_reset"."""
    text = known(text)
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") if text else None


def version(text: str | None) -> str | None:
    """The first dotted number: some drivers wrap it in a sentence."""
    found = _VERSION.search(known(text) or "")
    return found.group() if found else None


def program(text: str | None) -> str | None:
    """The program, without arguments: drivers print command lines of some programs, and those can hold secrets."""
    text = known(text)
    return text.split(None, 1)[0] if text else None


def measure(value: t.Any) -> float | None:
    """A number as the AMD tools write it in JSON: 5, "5 W", or {"value": 5, "unit": "W"}."""
    if isinstance(value, dict):
        value = value.get("value")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    return number(value) if isinstance(value, str) else None


def mib(value: t.Any, unit: str = "MB") -> int | None:
    """Memory as the AMD tools write it in JSON, in MiB. ``unit`` counts where the value names none."""
    amount = measure(value)
    if isinstance(value, dict):
        unit = str(value.get("unit", unit))
    elif isinstance(value, str):
        unit = _NUMBER.sub("", value, count=1).strip() or unit
    return None if amount is None else round(amount * _MIB.get(unit.lower(), _MIB["mb"]))
