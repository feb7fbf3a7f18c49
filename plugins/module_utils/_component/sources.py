# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Whether the package manager could still read its repositories with ours beside those that are there.

apt refuses all of its sources when two of them contradict each other, for every user of the host; dnf leaves one of two
repositories with the same id out, and goes on.
"""

from __future__ import annotations

import glob
import os
import re
import tempfile
import typing as t

from .._errors import HostError
from .._runner import Runner
from .changes import PathChange
from .selection import lines

_APT_LIST = "/etc/apt/sources.list"
_APT_PARTS = "/etc/apt/sources.list.d"
_DNF_PARTS = ("/etc/yum.repos.d", "/etc/distro.repos.d")
_DNF_MAIN = ("/etc/dnf/dnf.conf", "/etc/yum.conf")
_TIMEOUT_S = 60


def require_readable(changes: t.Sequence[PathChange], run: Runner) -> None:
    """HostError with file and line when a repository that is about to be written conflicts with another."""
    written = {change.path: change.after.content or b"" for change in changes if change.after.kind == "file"}
    replaced = {change.path for change in changes}
    apt = {path for path in written if os.path.dirname(path) == _APT_PARTS}
    if apt:
        _ask_apt(written, replaced, run)
    for path in sorted(written):
        if os.path.dirname(path) in _DNF_PARTS:
            _require_own_ids(path, written[path].decode(), replaced)


def _ask_apt(written: t.Mapping[str, bytes], replaced: t.Collection[str], run: Runner) -> None:
    """Let apt read its sources as they would be, from copies."""
    with tempfile.TemporaryDirectory(prefix="mlops.hosts-") as parts:
        for path in glob.glob(f"{_APT_PARTS}/*"):
            if path not in replaced and os.path.isfile(path):
                os.symlink(path, os.path.join(parts, os.path.basename(path)))
        for path, content in written.items():
            if os.path.dirname(path) == _APT_PARTS:
                with open(os.path.join(parts, os.path.basename(path)), "wb") as out:
                    out.write(content)
        said = run("apt-get", "indextargets", "-o", f"Dir::Etc::sourceparts={parts}", timeout_s=_TIMEOUT_S)
        words = " ".join(f"{said.stdout}\n{said.stderr}".replace(parts, _APT_PARTS).split())
    errors = dict.fromkeys(
        re.findall(r"E: ((?:Conflicting values|Malformed|Type '|Unable to parse).+?)(?= [EW]: |$)", words)
    )
    if not errors:
        return
    # It names address and suite of a conflict, and no file.
    conflict = re.search(r"regarding source (\S+) (\S+?):? ", f"{next(iter(errors))} ")
    ours = sorted(path for path in written if os.path.dirname(path) == _APT_PARTS)
    if conflict is None:
        raise HostError(f"apt cannot read its sources: {'; '.join(errors)}; correct that file, nothing was changed")
    places = _apt_places(conflict[1], replaced)
    named = " and ".join(places) or "another source"
    raise HostError(
        f"{' and '.join(ours)} cannot be written: {named} has the same repository with other options, and apt would "
        f"refuse all of its sources ({'; '.join(errors)}). Remove it there: this component writes the repository "
        "itself, with its own key"
    )


def _apt_places(uri: str, replaced: t.Collection[str]) -> list[str]:
    """File and line of each entry with this address, which apt may have expanded."""
    found = []
    for path in (_APT_LIST, *sorted(glob.glob(f"{_APT_PARTS}/*"))):
        if path in replaced or not path.endswith((".list", ".sources")):
            continue
        for number, line in enumerate(lines(path), 1):
            words = [] if line.lstrip().startswith("#") else line.split()
            if any(_same_address(word, uri) for word in words):
                found.append(f"{path}:{number}")
    return found


def _same_address(word: str, uri: str) -> bool:
    pattern = re.escape(word.rstrip("/")).replace(re.escape("$(ARCH)"), "[a-z0-9]+")
    return ":" in word and re.fullmatch(pattern, uri.rstrip("/")) is not None


def _require_own_ids(path: str, text: str, replaced: t.Collection[str]) -> None:
    for name in re.findall(r"^\[(.+?)\]", text, re.MULTILINE):
        others = [found for parts in _DNF_PARTS for found in sorted(glob.glob(f"{parts}/*.repo"))]
        for other in (*_DNF_MAIN, *others):
            if other in replaced:
                continue
            for number, line in enumerate(lines(other), 1):
                if line.strip() == f"[{name}]":
                    raise HostError(
                        f"{path} cannot be written: {other}:{number} has a repository with the same id, {name}, and "
                        "dnf would read only one of them. Remove it there: this component writes the repository itself"
                    )
