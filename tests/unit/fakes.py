# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runners that answer in place of a host's programs, with what real ones once said or with what a test tells them."""

from __future__ import annotations

import pathlib

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


def not_installed(argv: tuple[str, ...]) -> Completed:
    return Completed(argv, 127, "", f"{argv[0]}: command not found")


def _recording(argv: tuple[str, ...], name: str) -> Completed:
    rc, out, err = (DATA / f"{name}.{end}" for end in ("rc", "stdout", "stderr"))
    return Completed(argv, int(rc.read_text()), out.read_text(), err.read_text())
