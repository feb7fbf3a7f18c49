# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What a service will run after the next daemon-reload, from its files: systemd.syntax(7), systemd.service(5) and
systemd.exec(5). ``systemctl show`` tells of the last one, and nothing of a unit whose package is still to come."""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import os
import re
import typing as t

from . import _env_file
from ._unit_text import SPACE, entries

# systemd.unit(5); the first one that has a file of a name counts.
_DIRECTORIES = (
    "etc/systemd/system.control",
    "run/systemd/system.control",
    "run/systemd/transient",
    "run/systemd/generator.early",
    "etc/systemd/system",
    "etc/systemd/system.attached",
    "run/systemd/system",
    "run/systemd/system.attached",
    "run/systemd/generator",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
    "run/systemd/generator.late",
)
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "s": " ", "\\": "\\"}
_CODE = re.compile(r"x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})")
_BRACED = re.compile(r"\$(?:\$|\{(\w+)\})")
_PATTERN = re.compile(r"[*?\[]")
# Of the system's manager; those of a unit's name are in _specified.
_SPECIFIERS = {
    "%": "%",
    "C": "/var/cache",
    "E": "/etc",
    "L": "/var/log",
    "S": "/var/lib",
    "T": "/tmp",
    "V": "/var/tmp",
    "U": "0",
    "h": "/root",
    "i": "",
    "t": "/run",
    "u": "root",
}


@dataclasses.dataclass(frozen=True)
class Word:
    """A part of a command line, or a variable's value; ``source`` is the path of the file that it is from."""

    text: str
    source: str


@dataclasses.dataclass(frozen=True)
class Service:
    """``commands`` are those of ExecStart=, each with its program first, and with variables as they are written. A
    semicolon is a word of a command: only a oneshot service may have several in a line."""

    commands: tuple[tuple[Word, ...], ...]
    environment: t.Mapping[str, Word]


def paths(unit: str, root: str = "/") -> list[str]:
    """The files that make a unit: its own, then its drop-ins in their order."""
    kind = unit.rpartition(".")[2]
    places = [os.path.join(root, place) for place in _DIRECTORIES]
    own = next((path for path in (f"{place}/{unit}" for place in places) if os.path.exists(path)), None)
    if own and os.path.getsize(own) == 0:
        # Masked: the file is empty, or a link to /dev/null.
        return [own]
    drop_ins: dict[str, str] = {}
    for folder in (f"{place}/{name}.d" for name in (unit, kind) for place in places):
        for path in glob.glob(f"{folder}/*.conf"):
            drop_ins.setdefault(os.path.basename(path), path)
    return [*([own] if own else []), *(drop_ins[name] for name in sorted(drop_ins))]


def service(unit: str, files: t.Iterable[str], text_of: t.Callable[[str], str]) -> Service:
    """What the files make of it. ``text_of`` gives the text of a file, empty where there is none."""
    commands: list[tuple[Word, ...]] = []
    environment: dict[str, Word] = {}
    environment_files: list[str] = []
    unset: list[str] = []
    for path in files:
        for section, key, value in entries(text_of(path)):
            if section != "Service":
                continue
            if key == "ExecStart":
                commands = [*commands, *_command(unit, value, path)] if value else []
            elif key == "Environment":
                named = [text.partition("=") for text in _values(unit, value)]
                more = {name: Word(text, path) for name, equals, text in named if name and equals}
                environment = {**environment, **more} if value else {}
            elif key == "EnvironmentFile":
                environment_files = [*environment_files, _specified(unit, value)] if value else []
            elif key == "UnsetEnvironment":
                unset = [*unset, *_values(unit, value)] if value else []
    # Files count more than Environment=, wherever the lines stand.
    for path in (path for name in environment_files for path in _matching(name.removeprefix("-"))):
        environment.update({name: Word(text, path) for name, text in _env_file.parse(text_of(path)).items()})
    for text in unset:
        name, equals, value = text.partition("=")
        if name in environment and (not equals or environment[name].text == value):
            del environment[name]
    return Service(tuple(commands), environment)


def words(text: str, *, c_escapes: bool = True, strict: bool = False) -> t.Iterator[str]:
    """Split at spaces outside of quotes. ValueError, after the words before, for a quote without an end, and with
    ``strict`` for an escape that is none. Without ``c_escapes``, as values of variables are split, there is neither."""
    word: str | None = None
    quote = ""
    at = 0
    while at < len(text):
        char = text[at]
        at += 1
        if char == "\\":
            part, length = _unescaped(text, at) if c_escapes else (text[at : at + 1], 1)
            if strict and len(part) > 1:
                raise ValueError(f"{part} is no escape: {text}")
            # A semicolon would begin another command.
            is_semicolon = part == r"\;" and word is None and not quote and not text[at + 1 : at + 2].strip(SPACE)
            part = ";" if is_semicolon else part
            word = (word or "") + part
            at += length
        elif char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote, word = char, word or ""
        elif quote or char not in SPACE:
            word = (word or "") + char
        elif word is not None:
            yield word
            word = None
    if quote and c_escapes:
        raise ValueError(f"a quote has no end: {text}")
    if word is not None:
        yield word


def expanded(command: t.Iterable[Word], environment: t.Mapping[str, Word]) -> list[Word]:
    """With the values of variables: $NAME as a word of its own becomes any number of words, ${NAME} a part of one."""
    found: list[Word] = []
    for word in command:
        if word.text[:1] == "$" and word.text[1:2] not in ("{", "$", ""):
            value = environment.get(word.text[1:])
            found += [Word(text, value.source) for text in words(value.text, c_escapes=False)] if value else []
            continue
        used = [environment[name] for name in _BRACED.findall(word.text) if name in environment]
        text = _BRACED.sub(lambda match: _text(match, environment), word.text)
        found.append(Word(text, used[-1].source if used else word.source))
    return found


def _text(match: re.Match[str], environment: t.Mapping[str, Word]) -> str:
    if match[1] is None:
        return "$"
    return environment[match[1]].text if match[1] in environment else ""


def _command(unit: str, value: str, path: str) -> t.Iterator[tuple[Word, ...]]:
    try:
        parts = [_specified(unit, text) for text in words(value)]
    except ValueError:
        # systemd passes over such a line.
        return
    prefixes = parts[0][: len(parts[0]) - len(parts[0].lstrip("@-:+!|"))] if parts else ""
    parts[:1] = [text[len(prefixes) :] for text in parts[:1]]
    if "@" in prefixes:
        # The second word is what the program is told to be called.
        del parts[1:2]
    if ":" in prefixes:
        parts = [text.replace("$", "$$") for text in parts]
    if parts and parts[0]:
        yield tuple(Word(text, path) for text in parts)


def _values(unit: str, value: str) -> list[str]:
    return [_specified(unit, text) for text in _until_error(words(value, strict=True))]


def _until_error(found: t.Iterator[str]) -> t.Iterator[str]:
    with contextlib.suppress(ValueError):
        yield from found


def _matching(path: str) -> list[str]:
    return sorted(glob.glob(path)) if _PATTERN.search(path) else [path]


def _specified(unit: str, text: str) -> str:
    known = {**_SPECIFIERS, "n": unit, **dict.fromkeys("NpPj", unit.rpartition(".")[0])}
    return re.sub("%(.)", lambda match: known.get(match[1], match[0]), text)


def _unescaped(text: str, at: int) -> tuple[str, int]:
    """The character after a backslash, and how many it is written with."""
    code = _CODE.match(text, at)
    if code:
        return chr(int(code[4], 8) if code[4] else int(code[1] or code[2] or code[3], 16)), len(code[0])
    char = text[at : at + 1]
    return _ESCAPES.get(char, char if char in ("'", '"') else f"\\{char}"), 1
