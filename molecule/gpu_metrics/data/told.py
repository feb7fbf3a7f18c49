#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask an exporter, node_exporter unless it is named, until it tells what it should, and fail with what it tells when
that takes too long.

    told.py SECONDS [URL] < desired.json

desired.json has: has, regular expressions of which each is a whole line, and has_not, of which none is a line.
"""

from __future__ import annotations

import json
import re
import sys
import time
import urllib.request


def main() -> int:
    desired = json.load(sys.stdin)
    url = sys.argv[2] if len(sys.argv) > 2 else "http://127.0.0.1:9100/metrics"
    until = time.monotonic() + float(sys.argv[1])
    while True:
        with urllib.request.urlopen(url, timeout=10) as answer:
            page = answer.read().decode()
        missing = [line for line in desired["has"] if not re.search(f"^{line}$", page, re.MULTILINE)]
        extra = [line for line in desired.get("has_not", ()) if re.search(f"^{line}$", page, re.MULTILINE)]
        if not (missing or extra):
            return 0
        if time.monotonic() > until:
            break
        time.sleep(0.5)
    print("Missing:", *missing, "Not desired:", *extra, "Told:", sep="\n  ")
    print(*(line for line in page.splitlines() if re.match("mlops_|node_textfile|DCGM", line)), sep="\n  ")
    return 1


if __name__ == "__main__":
    sys.exit(main())
