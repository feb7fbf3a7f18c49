# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What answers in place of a host: runners of its programs, with what real ones once said or with what a test tells
them, and what is read of its paths and ports."""

from __future__ import annotations

import pathlib
import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.mlops.hosts.plugins.module_utils import _preflight
from ansible_collections.mlops.hosts.plugins.module_utils._component import desired, requirements
from ansible_collections.mlops.hosts.plugins.module_utils._component.arguments import SPEC
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.plugins.module_utils._runner import Completed

DATA = pathlib.Path(__file__).parent / "data"


class _Runner:
    """``calls``: how it was called. ``bounded``: no call may be without a time limit."""

    bounded = False

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []

    def __call__(self, *argv: str, timeout_s: float | None = None, stdin: str | None = None) -> Completed:
        assert timeout_s or not self.bounded, "every command is bounded"
        self.calls.append(argv)
        return self.answer(argv)

    def answer(self, argv: tuple[str, ...]) -> Completed:
        raise NotImplementedError


class Recorded(_Runner):
    """Answers each call with the next of these recordings; their names are below the data. One more is an error."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.names = list(names)

    def answer(self, argv: tuple[str, ...]) -> Completed:
        return _recording(argv, self.names.pop(0))


class Replay(_Runner):
    """Answers every call with this recording."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def answer(self, argv: tuple[str, ...]) -> Completed:
        return _recording(argv, self.name)


class RecordedHost(_Runner):
    """Answers with the recording of this name that the program has. The others are not installed."""

    bounded = True

    def __init__(self, **names: str) -> None:
        super().__init__()
        self.names = {program.replace("_", "-"): name for program, name in names.items()}

    def answer(self, argv: tuple[str, ...]) -> Completed:
        name = self.names.get(argv[0])
        return not_installed(argv) if name is None else _recording(argv, f"{argv[0]}/{name}")


class Told(_Runner):
    """Answers as told, by argv or by program, for what could not be recorded here. The others are not installed."""

    bounded = True

    def __init__(self, answers: dict[tuple[str, ...], str | Completed] | None = None, **texts: str) -> None:
        super().__init__()
        self.answers = {**(answers or {}), **{(program.replace("_", "-"),): text for program, text in texts.items()}}

    def answer(self, argv: tuple[str, ...]) -> Completed:
        answer = self.answers.get(argv, self.answers.get(argv[:1]))
        if answer is None:
            return not_installed(argv)
        return Completed(argv, 0, answer, "") if isinstance(answer, str) else answer


class FakeReader:
    """Reads a host that has ``paths`` and ``listeners``, rows as those of module preflight_info. Other paths are
    absent; ``names`` are in every directory."""

    def __init__(
        self,
        paths: t.Iterable[t.Mapping[str, t.Any]] = (),
        listeners: t.Iterable[t.Mapping[str, t.Any]] = (),
        mounts: t.Collection[str] = (),
        names: t.Sequence[str] = (),
        hosts: t.Collection[str] = (),
        disk_bytes: int = 1 << 40,
        programs: t.Iterable[t.Mapping[str, t.Any]] = (),
        files: t.Collection[str] = (),
    ) -> None:
        self.paths = {row["path"]: _preflight.Path(**row) for row in paths}
        unknown = {"address": "0.0.0.0", "pid": None, "process": None, "unit": None}
        self.known = [_preflight.Listener(**{**unknown, **row}) for row in listeners]
        self.mounts, self.entries, self.hosts = mounts, names, hosts
        self.size = disk_bytes
        self.running, self.files = [_preflight.Program(**row) for row in programs], files

    def path(self, path: str) -> _preflight.Path:
        return self.paths.get(path, _preflight.Path(path, "absent"))

    def listeners(self, port: int) -> list[_preflight.Listener]:
        return [listener for listener in self.known if listener.port == port]

    def is_mount(self, path: str) -> bool:
        return path in self.mounts

    def names(self, directory: str) -> t.Sequence[str]:
        return self.entries

    def resolves(self, name: str) -> bool:
        return name in self.hosts

    def disk_bytes(self, path: str) -> int:
        return self.size

    def programs(self, names: t.Collection[str], folder: str) -> list[_preflight.Program]:
        return [one for one in self.running if one.name in names]

    def is_file(self, path: str) -> bool:
        return path in self.files


def requirements_of(component: t.Mapping[str, t.Any]) -> tuple[desired.Requirement, ...]:
    """Those of a component as a role builds it, read as the module reads them."""
    checked = ArgumentSpecValidator(SPEC).validate({"name": "demo", "requires": component.get("requires", [])})
    assert not checked.error_messages
    return desired.parse(checked.validated_parameters).requires


def refused(
    component: t.Mapping[str, t.Any],
    reader: FakeReader,
    *,
    stopped: t.Collection[str] = (),
    check_mode: bool = False,
) -> tuple[list[str], list[str]]:
    """What the host is refused for, and what is only said of it."""
    try:
        checked = requirements.check(requirements_of(component), reader, stopped=stopped, check_mode=check_mode)
    except HostError as exc:
        return t.cast("list[str]", exc.details["requires"]), []
    return [], list(checked.notices)


def not_installed(argv: tuple[str, ...]) -> Completed:
    return Completed(argv, 127, "", f"{argv[0]}: command not found")


def _recording(argv: tuple[str, ...], name: str) -> Completed:
    rc, out, err = (DATA / f"{name}.{end}" for end in ("rc", "stdout", "stderr"))
    return Completed(argv, int(rc.read_text()), out.read_text(), err.read_text())
