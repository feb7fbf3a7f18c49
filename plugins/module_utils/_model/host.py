# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What the host itself says: room on its disks, mounts, users."""

from __future__ import annotations

import grp
import os
import pwd
import re
import typing as t

from .._errors import HostError
from .store import Ownership

_NOBODY_YET = -1
# What served before the last rollout, as the playbook writes it.
_ROLLBACK = "/var/lib/mlops.hosts/model_rollout.json"


def free_bytes(path: str) -> int:
    """Room for the one who asks on the file system where ``path`` is, or will be."""
    while not os.path.exists(path):
        path = os.path.dirname(path)
    seen = os.statvfs(path)
    return (seen.f_bfree if os.geteuid() == 0 else seen.f_bavail) * seen.f_frsize


def rollback(path: str = _ROLLBACK) -> str:
    """The record of the last rollout as it is, empty without one."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def mount_point(path: str, mountinfo: str = "/proc/self/mountinfo") -> str:
    """Where the file system of ``path`` is mounted. The table is read, since a bind mount shows nowhere else."""
    with open(mountinfo, encoding="utf-8", errors="surrogateescape") as table:
        points = {_unescaped(line.split(" ")[4]) for line in table if line.count(" ") > 4}
    path = os.path.realpath(path)
    while path not in points and path != "/":
        path = os.path.dirname(path)
    return path


def ownership(owner: str | None, group: str | None, mode: str, *, dry_run: bool) -> Ownership:
    """Numbers for names. In check mode a user who is not there yet has a number that nothing has."""

    def number(name: str | None, kind: str, find: t.Callable[[str], int]) -> int | None:
        if name is None or name.isdigit():
            return None if name is None else int(name)
        try:
            return find(name)
        except KeyError:
            if dry_run:
                return _NOBODY_YET
            raise HostError(f"the store should belong to the {kind} {name}, who is not on this host") from None

    if not re.fullmatch(r"0?[0-7]{3}", mode):
        raise HostError(f"mode must be octal digits such as 0640, not {mode!r}")
    return Ownership(
        number(owner, "user", lambda name: pwd.getpwnam(name).pw_uid),
        number(group, "group", lambda name: grp.getgrnam(name).gr_gid),
        int(mode, 8),
    )


def token(given: t.Mapping[str, t.Any]) -> str | None:
    """``token``, or the first line of ``token_file``."""
    path = given.get("token_file")
    if not path:
        return given.get("token") or None
    try:
        with open(path, encoding="utf-8") as file:
            found = file.readline().strip()
    except OSError as exc:
        raise HostError(f"the token cannot be read from {path}: {exc.strerror}") from exc
    if not found:
        raise HostError(f"the token file {path} is empty")
    return found


def with_secrets(given: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """An artefact of the options, with what its files on the host hold."""
    s3 = given.get("s3") or {}
    found = _credentials(s3["credentials_file"]) if s3.get("credentials_file") else {}
    return {**given, "token": token(given), "s3": {**s3, **found}}


def secrets(given: t.Mapping[str, t.Any]) -> set[str]:
    """What of an artefact ``with_secrets`` must not be seen anywhere."""
    names = ("access_key", "secret_key", "session_token")
    return set(filter(None, (given["token"], *(given["s3"].get(name) for name in names))))


def _credentials(path: str) -> dict[str, str | None]:
    """The ``[default]`` of a file as AWS's own tools write it."""
    import configparser  # few hosts have such a file

    parsed = configparser.ConfigParser(interpolation=None, default_section="")
    try:
        with open(path, encoding="utf-8") as file:
            parsed.read_file(file)
        section = parsed["default"]
        names = ("access_key_id", "secret_access_key")
        access_key, secret_key = (section[f"aws_{name}"] for name in names)
    except OSError as exc:
        raise HostError(f"the credentials cannot be read from {path}: {exc.strerror}") from exc
    except (ValueError, KeyError, configparser.Error):  # whose words would show what is in the file
        raise HostError(
            f"the credentials file {path} needs a section [default] with aws_access_key_id and aws_secret_access_key"
        ) from None
    return {"access_key": access_key, "secret_key": secret_key, "session_token": section.get("aws_session_token")}


def _unescaped(field: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), field)
