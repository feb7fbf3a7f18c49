#!/usr/bin/python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write lines to the journal as a simulated kernel.

simulated_kernel.py lines COUNT TEXT      the same line COUNT times
simulated_kernel.py mixed COUNT SECONDS   COUNT lines over SECONDS, of 20 Xids on two simulated GPUs, in turn
"""

from __future__ import annotations

import socket
import sys
import time

XIDS = (8, 13, 31, 32, 43, 45, 46, 48, 62, 63, 64, 74, 79, 92, 94, 95, 109, 119, 120, 140)


def main(verb: str, count: str, more: str) -> None:
    to = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    to.connect("/run/systemd/journal/socket")
    for number in range(int(count)):
        if verb == "lines":
            text = more
        else:
            code, gpu = XIDS[number % 20], number // 20 % 2
            text = f"NVRM: Xid (PCI:0000:{'ef'[gpu]}0:00): {code}, pid=4711, name=python, simulated line {number}"
            time.sleep(float(more) / int(count))
        to.send(f"MESSAGE={text}\nPRIORITY=4\nSYSLOG_IDENTIFIER=simulated-kernel\n".encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
