# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Do what guides tell their readers: write the files, run the commands in order, compare what comes out.

    guides.py --ring RING --folder FOLDER PAGE ...    the commands that tests/guides.yml gives to a ring, of these pages

FOLDER is the reader's own, and is made. All commands are those of one shell. One that fails ends the
run, but where the page asks for its exit status next.

In a page

- each block of ``console`` begins with a command after ``$ ``, which ``\\`` at its end takes to the next line; lines
  that are no command are what the command before them prints. ``...`` and ``…`` stand for anything in a line, a line
  ``...`` for any lines. Nothing is compared for a command without such lines;
- a block of ``yaml`` whose first line is a comment with nothing but a path that ends in ``.yml`` is this file. A second
  one with the same path replaces the variables that it has, and leaves the others of the file.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import re
import subprocess
import sys
import typing as t
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path[0] = str(ROOT)

from tools.docs import pages

PLAN = ROOT / "tests" / "guides.yml"
LANGUAGES = ("console", "yaml")
ASK_STATUS = "echo $?"
# It changes how long a run takes, and nothing else.
KEPT = ("ANSIBLE_PIPELINING",)
_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\S*)\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL)
_PROMPT = "$ "
_FILE = re.compile(r"# (?P<path>[\w./-]+\.yml)$")
_BEGUN = re.compile(r"\x02(\d+)\n")
_ENDED = re.compile(r"\x03(\d+)\n")
_ANYTHING = re.compile(r"\.\.\.|…")


class Problem(Exception):
    """What is wrong of a page, or came out wrong, in a sentence."""


@dataclasses.dataclass(frozen=True)
class Command:
    """What a reader types, and the lines that the page shows after it."""

    page: str
    line: int
    text: str
    shown: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class File:
    """What a reader writes."""

    page: str
    line: int
    path: str
    text: str


@dataclasses.dataclass(frozen=True)
class Plan:
    """Which ring runs a command, from tests/guides.yml."""

    unit: tuple[str, ...]
    scenarios: t.Mapping[str, tuple[str, ...]]  # pages, by scenario
    not_run: t.Mapping[str, str]  # reason, by command

    @classmethod
    def of(cls, data: t.Mapping[str, t.Any]) -> Plan:
        not_run = {command: entry["reason"] for entry in data["not_run"] for command in entry["commands"]}
        scenarios = {name: tuple(listed) for name, listed in data["scenarios"].items()}
        return cls(tuple(data["unit"]), scenarios, not_run)

    def ring(self, command: Command) -> str | None:
        """``unit``, ``not_run``, a scenario, or None where nobody runs it."""
        if command.text in self.not_run:
            return "not_run"
        if command.text in self.unit:
            return "unit"
        return next((name for name, listed in self.scenarios.items() if command.page in listed), None)


def plan() -> Plan:
    return Plan.of(yaml.safe_load(PLAN.read_text()))


def page_names() -> list[str]:
    return [name for name in pages.pages(ROOT) if name != "docs/reliability.md"]


def steps(page: str, text: str) -> t.Iterator[Command | File]:
    """What a reader does, in the order of the page; Problem where a block of console is none."""
    for found in _FENCE.finditer(text):
        line = text.count("\n", 0, found.start()) + 2
        body = re.sub(rf"^{found['indent']}", "", found["text"], flags=re.MULTILINE)
        if found["language"] == "console":
            yield from commands(page, line, body)
        elif found["language"] in ("bash", "sh", "shell"):
            raise Problem(
                f"{page}:{line - 1}: a block of {found['language']}, which nothing runs; make it one of console"
            )
        elif found["language"] == "yaml" and (name := _FILE.match(body.partition("\n")[0])):
            yield File(page, line, name["path"], body)


def commands(page: str, line: int, block: str) -> t.Iterator[Command]:
    """Those of a block of console that begins in ``line`` of its page."""
    lines = block.splitlines()
    if not lines or not lines[0].startswith(_PROMPT):
        raise Problem(f"{page}:{line}: a block of console begins with {_PROMPT!r} and a command")
    at = 0
    while at < len(lines):
        begun, typed = at, lines[at].removeprefix(_PROMPT)
        while typed.endswith("\\") and at + 1 < len(lines):
            at += 1
            typed += f"\n{lines[at]}"
        at += 1
        shown = at
        while at < len(lines) and not lines[at].startswith(_PROMPT):
            at += 1
        yield Command(page, line + begun, typed, tuple(lines[shown:at]))


def merged(before: str, after: str) -> str:
    """A file of variables after a page has said more of it, which comes in the place of what was there of them."""
    ours = sections(after)
    kept = {name: text for name, text in sections(before).items() if name not in ours}
    return "".join([*kept.values(), *ours.values()])


def sections(text: str) -> dict[str, str]:
    """The text of each variable of a file, with the lines before the first one under an empty name."""
    found: dict[str, str] = {}
    name = ""
    for line in text.splitlines(keepends=True):
        if key := re.match(r"([A-Za-z_]\w*):", line):
            name = key[1]
        found[name] = found.get(name, "") + line
    return found


def script(todo: t.Sequence[Command | File], folder: Path) -> str:
    """For bash: the files and commands, with a mark before and after what each command prints."""
    told = []
    files: dict[str, str] = {}
    for at, step in enumerate(todo):
        if isinstance(step, File):
            path = folder / step.path
            before = files.get(step.path) or (path.read_text() if path.exists() else "")
            files[step.path] = merged(before, step.text)
            told.append(f"mkdir -p '{path.parent}' && cat >'{path}' <<'END_OF_FILE'\n{files[step.path]}END_OF_FILE\n")
            continue
        after = todo[at + 1] if at + 1 < len(todo) else None
        asked = isinstance(after, Command) and after.text == ASK_STATUS
        told.append(
            f"printf '\\002{at}\\n'\n(exit ${{status:-0}})\n{step.text}\nstatus=$?\nprintf '\\003%d\\n' $status\n"
        )
        told.append("" if asked else '[ "$status" = 0 ] || exit "$status"\n')
    return "".join(told)


def differs(command: Command, printed: str) -> str | None:
    """A sentence where what came out is not what the page shows."""
    if not command.shown:
        return None
    expected = "".join(
        r"(?:.*\n)*?" if line.strip() in ("...", "…") else rf"{_line(line)}[ \t]*\n" for line in command.shown
    )
    if re.fullmatch(expected, f"{printed.rstrip()}\n"):
        return None
    return f"{command.page}:{command.line}: {command.text}\ndid not print what the page shows:\n" + "\n".join(
        command.shown
    )


def _line(shown: str) -> str:
    return ".*".join(re.escape(part) for part in _ANYTHING.split(shown.rstrip()))


def run(todo: t.Sequence[Command | File], folder: Path, environment: t.Mapping[str, str], out: t.TextIO) -> None:
    """Do it, and say what is done; Problem at the first command that fails or prints something else."""
    folder.mkdir(parents=True, exist_ok=True)
    with subprocess.Popen(
        ["bash", "-c", script(todo, folder)],
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as shell:
        assert shell.stdout is not None
        problems: list[str] = []
        step, printed = None, ""
        for line in shell.stdout:
            if begun := _BEGUN.search(line):
                step, printed = todo[int(begun[1])], ""
                assert isinstance(step, Command)
                out.write(f"==== {step.page}:{step.line}: {step.text}\n")
            elif (ended := _ENDED.search(line)) and isinstance(step, Command):
                # A command whose last line has no end has the mark in it.
                printed += line[: ended.start()]
                out.write(f"{line[: ended.start()]}==== exited with status {ended[1]}\n")
                problems += filter(None, [differs(step, printed)])
                step = None
            else:
                printed += line
                out.write(line)
            out.flush()
    if shell.returncode or step:
        last = [one for one in re.findall(r".+", printed)][-5:]
        raise Problem(
            "\n".join([*problems, f"exited with status {shell.returncode}, and no command after it was run", *last])
        )
    if problems:
        raise Problem("\n".join(problems))


def chosen(ring: str, names: t.Iterable[str]) -> list[Command | File]:
    """The steps of pages that a ring does, with the files of these pages."""
    known = plan()
    found: list[Command | File] = []
    for name in names:
        for step in steps(name, (ROOT / name).read_text()):
            if isinstance(step, File) or known.ring(step) == ring:
                found.append(step)
    return found


def main(argv: list[str]) -> int:
    summary, _, rest = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("page", nargs="+", help="paths from the root of the checkout")
    parser.add_argument("--ring", required=True, help="a scenario")
    parser.add_argument("--folder", required=True, type=Path, help="the reader's own")
    options = parser.parse_args(argv)
    programs = f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"
    # Readers have not set for Ansible what whoever runs this has.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_") or name in KEPT}
    environment |= {"ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".build/collections"), "PATH": programs}
    try:
        run(chosen(options.ring, options.page), options.folder.resolve(), environment, sys.stdout)
    except Problem as problem:
        print(f"guides: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
