#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure a start of a model server: seconds from the start of its process to the first token that it gives.

first_token.py URL MODEL UNIT RESULT    ask until a token comes, and write what was measured to the file RESULT, as JSON
first_token.py --forget FOLDER...       take the files below the folders out of the memory of the host
"""

from __future__ import annotations

import http.client
import json
import os
import pathlib
import subprocess
import sys
import time
import urllib.error
import urllib.request

LIMIT_S = 900
PAUSE_S = 0.02


def forget(folders: list[str]) -> None:
    """The next who reads them reads the disk."""
    for folder in folders:
        for path in pathlib.Path(folder).rglob("*"):
            if path.is_file() and not path.is_symlink():
                descriptor = os.open(path, os.O_RDONLY)
                try:
                    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                finally:
                    os.close(descriptor)


def has_token(url: str, model: str) -> bool:
    asked = {"model": model, "prompt": "Hello", "max_tokens": 1, "stream": True}
    request = urllib.request.Request(
        f"{url}/v1/completions", json.dumps(asked).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            for line in answer:
                if line.startswith(b"data: {") and json.loads(line[6:])["choices"][0]["text"]:
                    return True
    except (OSError, http.client.HTTPException):  # nobody listens yet, or it loads
        pass
    return False


def measure(url: str, model: str, unit: str) -> dict[str, float]:
    """``load``: that of the machine before the start. ``active_s``: when systemd said that the unit is active."""
    load = os.getloadavg()[0]
    limit = time.monotonic() + LIMIT_S
    while not has_token(url, model):
        if time.monotonic() > limit:
            raise SystemExit(f"no token came within {LIMIT_S} s")
        time.sleep(PAUSE_S)
    token_at = time.monotonic()
    argv = ["systemctl", "show", "--value", "--property=ExecMainStartTimestampMonotonic", unit]
    started_at = int(subprocess.run(argv, check=True, capture_output=True, text=True).stdout) / 1e6
    argv[3] = "--property=ActiveEnterTimestampMonotonic"
    active_at = int(subprocess.run(argv, check=True, capture_output=True, text=True).stdout) / 1e6
    return {"first_token_s": token_at - started_at, "active_s": active_at - started_at, "load": load}


def main(argv: list[str]) -> None:
    if argv[0] == "--forget":
        forget(argv[1:])
        return
    url, model, unit, result = argv
    pathlib.Path(result).write_text(json.dumps(measure(url, model, unit)))


if __name__ == "__main__":
    main(sys.argv[1:])
