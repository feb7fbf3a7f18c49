# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Finds the output of our own command in what came over a connection.

Shells read start files for commands too, and those print: greetings before the output, traps after it, control
sequences without a line end. So the output is never taken by its position.
"""

from __future__ import annotations

BEGIN = "mlops.hosts:begin:"
END = "mlops.hosts:end:"


def between_marks(text: str) -> str | None:
    """What was printed between BEGIN and END; None where either is missing, for then the output is not whole."""
    # The last one: a terminal shows the program that prints the marks, too.
    _before, begin, output = text.rpartition(BEGIN)
    output, end, _after = output.partition(END)
    return output if begin and end else None
