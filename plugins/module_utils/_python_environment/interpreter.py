# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The Pythons of a host."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import typing as t

from .._errors import CommandError, HostError
from .._runner import Runner
from .paths import python_version

_TIMEOUT_S = 60
_ASK = """\
import importlib.util, json, os, platform, sys, sysconfig
version = "%d.%d" % sys.version_info[:2]
print(json.dumps({
    "version": version + ("t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""),
    "missing": [name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None],
    "variables": {
        "extra": "",
        "implementation_name": sys.implementation.name,
        "implementation_version": platform.python_version(),
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_release": platform.release(),
        "platform_system": platform.system(),
        "platform_version": platform.version(),
        "python_full_version": platform.python_version(),
        "python_version": version,
        "sys_platform": sys.platform,
    },
}))
"""


class NotInstalled(HostError):
    """The Python, or a part of it, is not on the host yet."""


@dataclasses.dataclass(frozen=True)
class Interpreter:
    """What a Python says of itself. ``version``: of its ABI, as ``paths.path`` takes it. ``variables``: for markers."""

    path: str
    version: str
    missing: tuple[str, ...]
    variables: t.Mapping[str, str]

    def check(self) -> None:
        """HostError when it cannot make environments."""
        if self.missing:
            package = f"python{self.version}"
            raise NotInstalled(
                f"{self.path} cannot make environments, since it has no {' and no '.join(self.missing)}; install "
                f"{package}-venv on Debian and Ubuntu, or {package}-pip-wheel on the Enterprise Linux family",
                missing=list(self.missing),
            )


def find(python: str | None, search: str) -> str:
    """Absolute path of a program by its name or path; of the newest Python 3 for None. ``search``: a PATH.

    Links are followed: an environment of /usr/bin/python3 would break when that becomes another version.
    """
    if python is None:
        python = _newest(search)
    found = shutil.which(python, path=search)
    if found is None or not os.path.isabs(found):
        raise NotInstalled(f"the Python {python} is not on the host; install it, or name another one as python")
    return os.path.realpath(found)


def version(path: str, run: Runner) -> str:
    """The version of its ABI. Its name tells it nearly everywhere, so that nothing needs to be started."""
    return python_version(path) or ask(path, run).version


def ask(path: str, run: Runner) -> Interpreter:
    """Start it, and have it tell."""
    done = run(path, "-I", "-c", _ASK, timeout_s=_TIMEOUT_S)
    try:
        told = json.loads(done.stdout if done.rc == 0 else "")
        return Interpreter(path, told["version"], tuple(told["missing"]), told["variables"])
    except (ValueError, KeyError, TypeError):
        raise CommandError(f"{path} does not run as a Python: {done.last_words}", done) from None


def _newest(search: str) -> str:
    found: list[tuple[int, str]] = []
    for folder in search.split(":"):
        names = os.listdir(folder) if os.path.isdir(folder) else []
        found += [(int(match[1]), name) for name in names if (match := re.fullmatch(r"python3\.(\d+)", name))]
    return max(found)[1] if found else "python3"
