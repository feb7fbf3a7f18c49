# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python3 -m fake_gpu_tools PROGRAM ARGUMENTS...``: what the programs on the test host start."""

from __future__ import annotations

import importlib
import os
import sys

from . import PROGRAMS

if __name__ == "__main__":
    # nvidia-smi is for every user, and each call writes.
    os.umask(0)
    sys.exit(importlib.import_module(f"fake_gpu_tools.{PROGRAMS[sys.argv[1]]}").main(sys.argv[2:]))
