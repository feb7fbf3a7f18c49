# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps what Python compiles from zip files; on quick test hosts only, where every Python loads it.

Ansible sends a module in a new zip file each time, and Python compiles the whole file anew, since it keeps no compiled
code of zip files. The sources in it are mostly those of the last time: compiled code is kept by Python's version and
the source's hash. Its file name in a traceback is that of the first zip file.
"""

from __future__ import annotations

import _imp
import marshal
import os
import sys
import zipimport

FOLDER = "/var/cache/mlops-compiled"
_compile = zipimport._compile_source  # type: ignore[attr-defined]


def _compiled(path, source, *more):  # type: ignore[no-untyped-def]
    kept = f"{FOLDER}/{_imp.source_hash(sys.hexversion, source).hex()}"
    try:
        with open(kept, "rb") as file:
            return marshal.loads(file.read())
    except OSError:
        code = _compile(path, source, *more)
    try:
        new = f"{kept}.{os.getpid()}"
        with open(new, "wb") as out:
            out.write(marshal.dumps(code))
        os.rename(new, kept)
    except OSError:
        pass  # a user who may not write there, or a full disk: the next one compiles it again
    return code


zipimport._compile_source = _compiled  # type: ignore[attr-defined]
