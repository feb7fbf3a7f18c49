# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""systemd units: one question for all of them, and the few verbs that change them."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import typing as t

from .._errors import HostError
from .._runner import Runner, must

_PROPERTIES = (
    "Id",
    "LoadState",
    "ActiveState",
    "SubState",
    "UnitFileState",
    "NeedDaemonReload",
    "NRestarts",
    "Result",
    "Type",
    "ExecMainStatus",
    "InvocationID",
    "Job",
    "CacheDirectory",
)
_QUADLETS = ("/etc/containers/systemd/", "/usr/share/containers/systemd/")
_CALL_TIMEOUT_S = 120
# Where `systemctl edit` and `systemctl set-property` write, for good and until the next boot.
_OVERRIDES = (
    "/etc/systemd/system",
    "/etc/systemd/system.control",
    "/run/systemd/system",
    "/run/systemd/system.control",
)
_KINDS = (".service", ".socket", ".timer", ".path", ".mount", ".automount", ".swap", ".target")
_STARTS_AT_BOOT = ("enabled", "static", "indirect", "generated", "alias", "transient")
_UNIT_DIRECTORIES = (
    "/etc/systemd/system/",
    "/etc/systemd/system.control/",
    "/run/systemd/system/",
    "/run/systemd/system.control/",
    "/usr/lib/systemd/system/",
    "/lib/systemd/system/",
    *_QUADLETS,
)


@dataclasses.dataclass(frozen=True)
class Unit:
    """A unit as systemd sees it now."""

    name: str
    exists: bool
    active_state: str
    sub_state: str
    file_state: str
    stale: bool
    restarts: int
    result: str
    type: str
    exit_status: int
    invocation: str
    queued: bool
    has_cache: bool = False

    @property
    def running(self) -> bool:
        """Up, or on its way up for the first time; a unit that waits for its next restart is neither."""
        if self.active_state == "activating":
            return not self.sub_state.startswith("auto-restart")
        return self.active_state in ("active", "reloading", "refreshing")

    @property
    def up(self) -> bool:
        """Has reached what its type calls started, and nothing is queued for it."""
        if self.queued:
            return False
        done = self.type == "oneshot" and self.active_state == "inactive" and self.result == "success"
        return self.active_state == "active" or done

    @property
    def dead(self) -> bool:
        """Failed, or between two attempts of its own restart policy."""
        if self.queued and not self.sub_state.startswith("auto-restart"):
            return False
        return self.active_state == "failed" or self.sub_state.startswith("auto-restart")

    @property
    def failed(self) -> bool:
        return self.active_state == "failed"

    @property
    def starts_at_boot(self) -> bool:
        return self.file_state in _STARTS_AT_BOOT

    @property
    def masked(self) -> bool:
        return self.file_state.startswith("masked")


def observe(names: t.Sequence[str], run: Runner) -> dict[str, Unit]:
    """All named units by one process. A unit that does not exist is listed with ``exists`` false."""
    if not names:
        return {}
    to_install = must(
        run("systemctl", "show", f"--property={','.join(_PROPERTIES)}", "--", *names, timeout_s=_CALL_TIMEOUT_S),
        "the state of the units could not be read; is systemd running here",
    )
    blocks = to_install.stdout.strip("\n").split("\n\n")
    if len(blocks) != len(names):
        raise HostError(f"systemctl answered for {len(blocks)} units, {len(names)} were asked for: {', '.join(names)}")
    return {name: _parse(name, block) for name, block in zip(names, blocks)}


def _parse(name: str, block: str) -> Unit:
    said = dict(line.partition("=")[::2] for line in block.splitlines())
    return Unit(
        name=name,
        exists=said["LoadState"] not in ("not-found", ""),
        active_state=said["ActiveState"],
        sub_state=said["SubState"],
        file_state=said.get("UnitFileState", ""),
        stale=said.get("NeedDaemonReload") == "yes",
        restarts=int(said.get("NRestarts") or 0),
        result=said.get("Result", ""),
        type=said.get("Type", ""),
        exit_status=int(said.get("ExecMainStatus") or 0),
        invocation=said.get("InvocationID", ""),
        queued=said.get("Job", "0") not in ("", "0"),
        has_cache=bool(said.get("CacheDirectory")),
    )


def of_file(path: str, run: Runner) -> list[str]:
    """Units that systemd has from this file: one, or of a template the instances that are loaded."""
    name = os.path.basename(path)
    if not is_unit_file(path) or not name.endswith(_KINDS):
        return []
    stem, at, kind = name.rpartition("@")
    if not at or not kind.startswith("."):
        return [name]
    argv = ("systemctl", "list-units", "--all", "--full", "--plain", "--no-legend", "--", f"{stem}@*{kind}")
    return [line.split()[0] for line in run(*argv, timeout_s=_CALL_TIMEOUT_S).stdout.splitlines() if line.strip()]


def drop_ins(name: str) -> list[str]:
    """Files that change this one unit without being it, put there by people and their tools. What packages ship is not
    among them."""
    found = []
    for directory in (f"{base}/{name}.d" for base in _OVERRIDES):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            found += [f"{directory}/{entry}" for entry in sorted(os.listdir(directory)) if entry.endswith(".conf")]
    return found


def is_unit_file(path: str) -> bool:
    """Whether systemd reads the path only at daemon-reload."""
    return path.startswith(_UNIT_DIRECTORIES)


def defines(path: str) -> str | None:
    """The unit whose file this is, for systemd or for the generator of Podman; None for drop-ins, links of enabled
    units, and other files."""
    folder, name = os.path.split(path)
    stem, _dot, kind = name.rpartition(".")
    if f"{folder}/" in _QUADLETS:
        return f"{stem}.service" if kind == "container" else None
    return name if f"{folder}/" in _UNIT_DIRECTORIES else None


def daemon_reload(run: Runner) -> None:
    must(run("systemctl", "daemon-reload", timeout_s=_CALL_TIMEOUT_S), "systemd could not re-read its units")


def set_enabled(names: t.Sequence[str], *, enabled: bool, run: Runner) -> None:
    if names:
        verb = "enable" if enabled else "disable"
        must(
            run("systemctl", verb, "--", *names, timeout_s=_CALL_TIMEOUT_S),
            f"systemd could not {verb} {', '.join(names)}",
        )


def mask(names: t.Sequence[str], run: Runner) -> None:
    _masking("mask", names, run)


def unmask(names: t.Sequence[str], run: Runner) -> None:
    _masking("unmask", names, run)


def _masking(verb: t.Literal["mask", "unmask"], names: t.Sequence[str], run: Runner) -> None:
    if names:
        must(
            run("systemctl", verb, "--", *names, timeout_s=_CALL_TIMEOUT_S),
            f"systemd could not {verb} {', '.join(names)}",
        )


def enqueue(verb: t.Literal["start", "restart", "reload-or-restart"], names: t.Sequence[str], run: Runner) -> None:
    """Queue the job and return: a model that loads for minutes is waited for by the readiness gate."""
    if names:
        # A unit that failed often is refused a start until its counter is reset; the gate counts restarts from zero.
        reset_failed(names, run)
        must(
            run("systemctl", "--no-block", verb, "--", *names, timeout_s=_CALL_TIMEOUT_S),
            f"systemd refused to {verb} {', '.join(names)}",
        )


def reset_failed(names: t.Collection[str], run: Runner) -> None:
    """Let systemd forget that they failed. It says that it does not know those that are gone, which is the aim."""
    if names:
        run("systemctl", "reset-failed", "--", *names, timeout_s=_CALL_TIMEOUT_S)


def stop(names: t.Sequence[str], run: Runner, *, timeout_s: float = 300) -> None:
    """Stop and wait. A unit that is not there is stopped already, unless it outlived its file."""
    present = [name for name, unit in observe(names, run).items() if unit.exists or unit.running]
    if present:
        must(
            run("systemctl", "stop", "--", *present, timeout_s=timeout_s),
            f"systemd could not stop {', '.join(present)}",
        )


def remove_caches(names: t.Sequence[str], run: Runner) -> None:
    """Those of ``CacheDirectory=``, of units that are stopped and have one. systemd refuses a unit that has failed."""
    if names:
        reset_failed(names, run)
        must(
            run("systemctl", "clean", "--what=cache", "--", *names, timeout_s=_CALL_TIMEOUT_S),
            f"systemd could not remove the cache of {', '.join(names)}",
        )


def last_words(name: str, run: Runner, lines: int = 8) -> str:
    """The unit's own last log lines in one line, newest last."""
    said = run("journalctl", "--no-pager", "--output=cat", f"--lines={lines}", f"--unit={name}", timeout_s=30)
    words = " | ".join(line.strip() for line in said.stdout.splitlines() if line.strip())
    return words or "it logged nothing"
