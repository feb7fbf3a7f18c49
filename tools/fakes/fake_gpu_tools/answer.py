# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How nvidia-smi ends when it does not do what it was asked: its exit codes are the return codes of NVML."""

from __future__ import annotations

INVALID = 2
NOT_SUPPORTED = 3
NO_PERMISSION = 4
NOT_FOUND = 6
NOT_LOADED = 9
CORRUPT_INFOROM = 14
LOST = 15
MISMATCH = 18
IN_USE = 19
INSUFFICIENT = 23
OTHER = 255


class Refused(Exception):
    """The lines that are printed, and the exit code; what was done before stays done."""

    def __init__(self, code: int, *lines: str) -> None:
        super().__init__(*lines)
        self.code = code
        self.lines = lines
