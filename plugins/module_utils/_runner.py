# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The one place that starts processes."""

from __future__ import annotations

import dataclasses
import os
import re
import select
import subprocess
import tempfile
import typing as t

from ._errors import CommandError, HostError

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

# coreutils timeout(1): 124 when the limit ended the command, 137 when it had to be killed after that.
_TIMED_OUT = (124, 137)
_KILL_AFTER_S = 5
_REASON = re.compile(
    r"(?i)\b(error (?!log)|fail|can ?not|could not|no such|not (found|known|defined)|unknown|invalid|unexpected|denied"
    r"|refused)"
)
_HEADLINE = re.compile(r"\w+:\Z")
# The line of a file at which syslog-ng stops, which it shows among others.
_STOPPED_AT = re.compile(r"\d+--+>\s+(?!\^)(\S.{0,79})")
# What a shell answers for a program that is not there; the runners do too.
NOT_FOUND = 127


@dataclasses.dataclass(frozen=True)
class Completed:
    """What a finished command left behind. ``timed_out`` is true when its time limit ended it."""

    argv: tuple[str, ...]
    rc: int
    stdout: str
    stderr: str
    timed_out: bool = False

    @property
    def last_words(self) -> str:
        """The end of what it said, standard error first: one line for a message."""
        for text in (self.stderr, self.stdout):
            lines = [line.strip() for line in text.splitlines() if line.strip()]
            if lines:
                return " | ".join(lines[-3:])
        return "it printed nothing"

    @property
    def reason(self) -> str:
        """What it said of why it failed, as far as that can be told from its words; else its last words. A program that
        checks a file says first what is wrong, and then much that is the same each time."""
        lines = [line.strip() for line in (self.stderr or self.stdout).splitlines()]
        found = [line for line in lines if _REASON.search(line) and not _HEADLINE.match(line)][:3]
        shown = list(filter(None, map(_STOPPED_AT.match, lines)))
        return " | ".join([*found, *(match[1] for match in shown[:1])]) or self.last_words


class Runner(t.Protocol):
    """Runs a program by argv, never through a shell. It does not raise when the program fails."""

    def __call__(self, *argv: str, timeout_s: float | None = None, stdin: str | None = None) -> Completed:
        """What it printed, and how it ended."""


class ModuleRunner:
    """A Runner over ``AnsibleModule.run_command``.

    A command that is not installed gives rc 127, as in a shell. ``timeout_s`` bounds the run with timeout(1).
    """

    def __init__(self, module: AnsibleModule) -> None:
        self._module = module

    def __call__(self, *argv: str, timeout_s: float | None = None, stdin: str | None = None) -> Completed:
        program = self._module.get_bin_path(argv[0])
        if program is None:
            return Completed(argv, NOT_FOUND, "", f"{argv[0]}: command not found")
        bound = [] if timeout_s is None else ["timeout", "-k", str(_KILL_AFTER_S), str(timeout_s)]
        rc, stdout, stderr = self._module.run_command(
            [*bound, program, *argv[1:]],
            data=stdin,
            binary_data=True,
            expand_user_and_vars=False,
            environ_update={"LC_ALL": "C", "LANGUAGE": "C"},
        )
        return Completed(argv, rc, stdout, stderr, timed_out=timeout_s is not None and rc in _TIMED_OUT)


class PlainRunner:
    """A Runner of the standard library alone."""

    def __call__(self, *argv: str, timeout_s: float | None = None, stdin: str | None = None) -> Completed:
        path = f"{os.environ.get('PATH', '/usr/bin:/bin')}:/usr/sbin:/sbin"
        try:
            # Programs of ours that hosts keep run without Ansible, and its run_command.
            done = subprocess.run(  # pylint: disable=ansible-bad-function
                argv,
                input=stdin or "",
                capture_output=True,
                text=True,
                errors="surrogateescape",
                timeout=timeout_s,
                check=False,
                env={**os.environ, "PATH": path, "LC_ALL": "C", "LANGUAGE": "C"},
            )
        except FileNotFoundError:
            return Completed(argv, NOT_FOUND, "", f"{argv[0]}: command not found")
        except subprocess.TimeoutExpired:
            return Completed(argv, _TIMED_OUT[0], "", "", timed_out=True)
        return Completed(argv, done.returncode, done.stdout, done.stderr)


class Once:
    """A Runner for what reads a host that does not change meanwhile: a command that was run is not run again.

    ``known``: what an earlier one ``told``, moments before.
    """

    def __init__(self, run: Runner, known: t.Iterable[t.Sequence[t.Any]] = ()) -> None:
        self._run = run
        self._done: dict[tuple[tuple[str, ...], str | None], Completed] = {}
        for argv, rc, stdout, stderr in known:
            self._done[tuple(argv), None] = Completed(tuple(argv), rc, stdout, stderr)

    def __call__(self, *argv: str, timeout_s: float | None = None, stdin: str | None = None) -> Completed:
        asked = argv, stdin
        if asked not in self._done:
            self._done[asked] = self._run(*argv, timeout_s=timeout_s, stdin=stdin)
        return self._done[asked]

    def told(self, *programs: str) -> list[list[t.Any]]:
        """What these programs said where they succeeded, as JSON takes it."""
        return [
            [list(done.argv), done.rc, done.stdout, done.stderr]
            for (argv, stdin), done in self._done.items()
            if argv[0] in programs and stdin is None and done.rc == 0
        ]


def must(completed: Completed, what: str, *, why: str | None = None) -> Completed:
    """Pass a command that succeeded through; raise CommandError with ``what`` (a clause such as
    "the user mlops could not be created") for one that did not, and ``why``, by default its last words."""
    if completed.timed_out:
        raise CommandError(f"{what}: {completed.argv[0]} did not end in time", completed)
    if completed.rc != 0:
        raise CommandError(
            f"{what}: {completed.argv[0]} exited with status {completed.rc}: {why or completed.last_words}", completed
        )
    return completed


class Running:
    """A program whose output is read while it runs, such as one that follows a log.

    It is a context, with whose end the program ends.
    """

    def __init__(self, *argv: str) -> None:
        self.argv = argv
        self._rest = b""

    def __enter__(self) -> Running:
        self._errors = tempfile.TemporaryFile()
        try:
            # run_command has its output at the end only.
            self._process = subprocess.Popen(  # pylint: disable=ansible-bad-function
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env={**os.environ, "LC_ALL": "C", "LANGUAGE": "C"},
            )
        except FileNotFoundError as exc:
            self._errors.close()
            raise HostError(f"{self.argv[0]} must be installed, and is not") from exc
        self._output = t.cast("t.IO[bytes]", self._process.stdout)
        return self

    def __exit__(self, *_error: object) -> None:
        self.end()
        self._output.close()
        self._process.wait()
        self._errors.close()

    def end(self) -> None:
        """Kill the program: a read that waits finds that it has ended."""
        self._process.kill()

    def read(self, timeout_s: float) -> list[bytes] | None:
        """The next whole lines, none when there are none in time; None when the program has ended.

        It holds 64 KiB and what is left of a line: the program waits when it prints faster than this is called.
        """
        ready, _writable, _failed = select.select([self._output], [], [], timeout_s)
        if not ready:
            return []
        data = os.read(self._output.fileno(), 65536)
        if not data:
            return None
        *lines, self._rest = (self._rest + data).split(b"\n")
        return lines

    @property
    def rest(self) -> bytes:
        """What is left of a line: when the program has ended, its last one if no line break follows."""
        return self._rest

    def completed(self) -> Completed:
        """How it has ended, after read() said so; without what it printed."""
        rc = self._process.wait()
        self._errors.seek(0)
        return Completed(self.argv, rc, "", self._errors.read(65536).decode("utf-8", "replace"))
