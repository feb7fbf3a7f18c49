# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""System users."""

from __future__ import annotations

import grp
import pwd
import typing as t

from .._errors import HostError
from .._runner import Runner, must
from .desired import DesiredUser

_NO_SUCH_USER = 6


class User(t.NamedTuple):
    home: str
    shell: str
    groups: frozenset[str]


def observe(name: str) -> User | None:
    """A user with the groups it is listed in besides its primary one; None when there is none."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    groups = frozenset(group.gr_name for group in grp.getgrall() if name in group.gr_mem)
    return User(entry.pw_dir, entry.pw_shell, groups)


def own_group(name: str) -> int | None:
    """The number of the group that has a user's name; None when there is none."""
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None


def create(desired: DesiredUser, run: Runner) -> None:
    """Create a user with a group of its name. One that is there, as userdel leaves while it has members, is used."""
    group = own_group(desired.name)
    must(
        run(
            "useradd",
            "--system",
            *(("--user-group",) if group is None else ("--gid", str(group))),
            "--no-create-home",
            "--home-dir",
            desired.home,
            "--shell",
            desired.shell,
            desired.name,
        ),
        f"user {desired.name} could not be created",
    )


def change(desired: DesiredUser, found: User, run: Runner) -> None:
    if (found.home, found.shell) != (desired.home, desired.shell):
        must(
            run("usermod", "--home", desired.home, "--shell", desired.shell, desired.name),
            f"user {desired.name} could not be changed",
        )


def add_to_groups(name: str, groups: t.Iterable[str], run: Runner) -> None:
    for group in groups:
        must(run("gpasswd", "--add", name, group), f"user {name} could not be added to group {group}")


def take_from_groups(name: str, groups: t.Iterable[str], run: Runner) -> None:
    for group in groups:
        run("gpasswd", "--delete", name, group)  # it fails when the membership is already gone, which is the aim


def restore(name: str, home: str, shell: str, run: Runner) -> None:
    """Home and shell as they were."""
    found = observe(name)
    if found is not None:
        change(DesiredUser(name, home, shell, ()), found, run)


def remove(name: str, run: Runner, *, group: int | None = None) -> None:
    """Remove a user and its group; one that is already gone is fine. ``group`` was there before and stays."""
    removed = run("userdel", name)
    if removed.rc not in (0, _NO_SUCH_USER):
        raise HostError(f"user {name} could not be removed: {removed.last_words}")
    if group is not None and own_group(name) is None:  # userdel has no way to keep it
        must(run("groupadd", "--gid", str(group), name), f"group {name}, which was there before, could not be kept")


def missing_groups(desired: DesiredUser) -> list[str]:
    existing = {group.gr_name for group in grp.getgrall()}
    return [group for group in desired.groups if group not in existing]
