# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Options that a unit gives to dockerd, and the keys of daemon.json that they stand for."""

from __future__ import annotations

import dataclasses
import itertools
import os.path
import re
import shlex
import typing as t

from .. import _unit_file
from .._unit_file import Word

# Flags whose key is not their own name; dockerd refuses both at once.
_KEYS = {
    "H": "hosts",
    "host": "hosts",
    "D": "debug",
    "g": "data-root",
    "graph": "data-root",
    "G": "group",
    "l": "log-level",
    "s": "storage-driver",
    "b": "bridge",
    "p": "pidfile",
    "add-runtime": "runtimes",
    "authorization-plugin": "authorization-plugins",
    "default-address-pool": "default-address-pools",
    "default-ulimit": "default-ulimits",
    "dns-opt": "dns-opts",
    "exec-opt": "exec-opts",
    "feature": "features",
    "insecure-registry": "insecure-registries",
    "label": "labels",
    "log-opt": "log-opts",
    "registry-mirror": "registry-mirrors",
    "storage-opt": "storage-opts",
}
# Short options without a value, after which others follow in the same word.
_SWITCHES = "Dhv"
_SHELLS = ("sh", "bash", "dash")
_OPERATORS = "();<>|&\n"
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))\Z")


@dataclasses.dataclass(frozen=True)
class Flag:
    """``key`` is the key of daemon.json, ``source`` the file that has the flag."""

    key: str
    flag: str
    source: str


def read(unit: str, files: t.Iterable[str], text_of: t.Callable[[str], str]) -> list[Flag]:
    """The options that the unit made of these files gives."""
    found = []
    service = _unit_file.service(unit, files, text_of)
    for command in service.commands:
        for word in arguments(command, service.environment):
            if word.text == "--":
                break
            found += [Flag(_KEYS.get(name, name), f"{dashes}{name}", word.source) for dashes, name in _names(word.text)]
    return found


def _names(text: str) -> t.Iterator[tuple[str, str]]:
    """Of the options in a word, the dashes and the name."""
    option = re.match(r"--(\w[\w-]*)", text)
    if option:
        yield "--", option[1]
    elif re.match(r"-\w", text):
        for letter in text[1:]:
            yield "-", letter
            if letter not in _SWITCHES:
                break


def arguments(command: t.Sequence[Word], environment: t.Mapping[str, Word]) -> list[Word]:
    """What dockerd is given, be it started by the unit, by a program such as env, or by a shell."""
    words = _unit_file.expanded(command, environment)
    script = _script(command)
    if script:
        words = list(_of_shell(script, environment))
    begin = next((at for at, word in enumerate(words) if os.path.basename(word.text) == "dockerd"), 0)
    rest = words[begin + 1 :]
    # What follows an operator is given to another program.
    return (
        list(itertools.takewhile(lambda word: word.text.strip(_OPERATORS) or not word.text, rest)) if script else rest
    )


def _script(command: t.Sequence[Word]) -> Word | None:
    """The text that a shell is given with -c."""
    if os.path.basename(command[0].text) not in _SHELLS:
        return None
    options = (at for at, word in enumerate(command) if re.match(r"-\w*c\w*\Z", word.text))
    at = next(options, len(command)) + 1
    return command[at] if at < len(command) else None


def _of_shell(script: Word, environment: t.Mapping[str, Word]) -> t.Iterator[Word]:
    """The words of a script, operators among them, with variables split as a shell does."""
    lexer = shlex.shlex(script.text.replace("$$", "$"), posix=True, punctuation_chars=_OPERATORS)
    lexer.whitespace, lexer.whitespace_split = " \t", True
    try:
        tokens = list(lexer)
    except ValueError:
        tokens = script.text.split()
    for token in tokens:
        variable = _VARIABLE.match(token)
        if variable is None:
            yield Word(token, script.source)
        elif value := environment.get(variable[1] or variable[2]):
            yield from (Word(text, value.source) for text in value.text.split())
