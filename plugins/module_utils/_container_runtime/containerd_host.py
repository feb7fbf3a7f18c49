# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Reads the configuration of containerd on a host, in the program's own words. Hosts have no parser of TOML: what is
returned is text, for the controller to parse."""

from __future__ import annotations

import glob
import os
import re
import tempfile
import typing as t

from .. import _unit_file
from .._runner import NOT_FOUND, Runner
from . import paths

_TIMEOUT_S = 60
_CRI_STATUS = re.compile(r"^io\.containerd\.grpc\.v1\s+cri\s.*?(\w+)\s*$", re.MULTILINE)
_OWN_DROP_IN = f"{paths.CONTAINERD_UNIT}.d/mlops-hosts.conf"


def configuration(
    run: Runner, read: t.Callable[[str], str], settings: str | None = None, root: str = "/"
) -> dict[str, t.Any]:
    """What containerd runs with, see RETURN of module container_runtime_info. ``settings`` is the text of the role's
    file that is compared, None for the one that is installed; ``read`` gives the text of a file, empty without one."""
    found: dict[str, t.Any] = {
        "files": _files(read, root),
        "defaults": None,
        "site": None,
        "effective": None,
        "problem": "",
        "cri": _cri_status(run),
        "commands": _commands(read, root),
    }
    default = run("containerd", "config", "default", timeout_s=_TIMEOUT_S)
    if default.rc == NOT_FOUND:
        return found
    found["defaults"] = default.stdout
    has_config = os.path.exists(paths.CONFIG)
    dump = _dump(run, paths.CONFIG) if has_config else default
    if dump.rc != 0:
        found["problem"] = f"containerd cannot use {paths.CONFIG}: {dump.last_words}"
        return found
    found["site"] = dump.stdout
    imported = _imported(dump.stdout)
    if paths.CONFIG in imported:  # up to 1.7 it tells all that it read
        names = [path for path in found["files"] if path in imported]
        found["files"] = {path: read(path) for path in dict.fromkeys([*names, *sorted(imported)])}
    if settings is not None:
        with tempfile.TemporaryDirectory(prefix="mlops-hosts-") as folder:
            for name, text in paths.chain(folder, settings).items():
                with open(f"{folder}/{name}", "w", encoding="utf-8") as out:
                    out.write(text)
            dump = _dump(run, f"{folder}/config.toml")
    elif os.path.exists(paths.MAIN):
        dump = _dump(run, paths.MAIN)
    else:
        return found
    if dump.rc != 0:
        found["problem"] = (
            f"containerd cannot use the files of the role together with those of others: {dump.last_words}"
        )
    else:
        found["effective"] = dump.stdout
    return found


def _dump(run: Runner, path: str) -> t.Any:
    return run("containerd", "--config", path, "config", "dump", timeout_s=_TIMEOUT_S)


def _files(read: t.Callable[[str], str], root: str) -> dict[str, str]:
    """The files of others below /etc/containerd, config.toml first."""
    folder = os.path.join(root, paths.CONF.lstrip("/"))
    found = {}
    for path in sorted(glob.glob(f"{folder}/**/*.toml", recursive=True), key=lambda path: (path.count("/"), path)):
        name = "/" + os.path.relpath(path, root)
        if not name.startswith((f"{paths.OURS}/", f"{paths.CERTS}/")):
            found[name] = read(path)
    return found


def _imported(dump: str) -> list[str]:
    """The files that the dump says it read, outside of /etc/containerd too."""
    line = next((line for line in dump.splitlines() if line.startswith("imports =")), "")
    return [path for path in re.findall(r"[\"']([^\"'*]+)[\"']", line) if os.path.isfile(path)]


def _cri_status(run: Runner) -> str | None:
    """The word that containerd has for its CRI plugin, such as ok; None when there is none or containerd is down."""
    answer = run("ctr", "plugins", "ls", timeout_s=_TIMEOUT_S)
    status = _CRI_STATUS.search(answer.stdout) if answer.rc == 0 else None
    return status.group(1) if status else None


def _commands(read: t.Callable[[str], str], root: str) -> list[dict[str, str]]:
    """What the unit and drop-ins of others start."""
    files = [path for path in _unit_file.paths(paths.CONTAINERD_UNIT, root) if not path.endswith(_OWN_DROP_IN)]
    service = _unit_file.service(paths.CONTAINERD_UNIT, files, read)
    found = [_unit_file.expanded(command, service.environment) for command in service.commands]
    return [{"command": " ".join(word.text for word in words), "source": words[0].source} for words in found]
