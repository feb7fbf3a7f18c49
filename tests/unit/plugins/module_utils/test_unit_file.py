# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services are read as systemd reads them.

``services.json`` holds files of units, and what systemd 257 gave to the program of each: a script in dockerd's place
that writes down its arguments and variables. systemd 252 gave the same.
"""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils import _env_file, _unit_file
from ansible_collections.mlops.hosts.plugins.module_utils._container_runtime import flags
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.model_server.engines.base import quoted
from hypothesis import given
from hypothesis import strategies as st

RECORDED = json.loads((pathlib.Path(__file__).resolve().parents[2] / "data/systemd/257/services.json").read_text())
UNIT = "shown.service"


def written(root: pathlib.Path, files: dict[str, str]) -> _unit_file.Service:
    """The service that the files make, below a root."""
    for path, text in files.items():
        file = pathlib.Path(path.replace("@ROOT@", str(root))) if path.startswith("@") else root / path[1:]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.replace("@ROOT@", str(root)).encode())
    return _unit_file.service(UNIT, _unit_file.paths(UNIT, str(root)), text_of)


def text_of(path: str) -> str:
    file = pathlib.Path(path)
    return file.read_bytes().decode() if file.exists() else ""


@pytest.mark.parametrize("name", RECORDED)
def test_a_service_gets_what_systemd_gives(name: str, tmp_path: pathlib.Path) -> None:
    case = RECORDED[name]
    service = written(tmp_path, case["files"])
    given = [[word.text for word in flags.arguments(command, service.environment)] for command in service.commands]
    assert given == case["argv"]
    variables = {name: word.text for name, word in service.environment.items() if name.startswith("V_")}
    assert variables == case["environment"]


def test_a_unit_that_is_masked_runs_nothing(tmp_path: pathlib.Path) -> None:
    files = {
        f"/usr/lib/systemd/system/{UNIT}": "[Service]\nExecStart=/x --a\n",
        f"/etc/systemd/system/{UNIT}.d/a.conf": "[Service]\nExecStart=/x --b\n",
    }
    (tmp_path / "etc/systemd/system").mkdir(parents=True)
    (tmp_path / f"etc/systemd/system/{UNIT}").symlink_to("/dev/null")
    assert written(tmp_path, files).commands == ()


@pytest.mark.parametrize(
    "text", ['[Service]\nExecStart=/x "--a\n', "[Service]\nExecStart=\n", "[Service]\nExecStart=@ \n", "ExecStart=/x"]
)
def test_a_line_that_systemd_passes_over_is_no_command(text: str) -> None:
    assert _unit_file.service(UNIT, ["a"], lambda _path: text).commands == ()


def test_two_backslashes_do_not_continue_a_line() -> None:
    text = "[Service]\nEnvironment=A=b\\\\\nExecStart=/x $A \\\\\\\n --c\n"
    service = _unit_file.service(UNIT, ["a"], lambda _path: text)
    words = _unit_file.expanded(service.commands[0], service.environment)
    assert [word.text for word in words] == ["/x", "b", "\\", "--c"]


def test_an_open_quote_in_a_variable_ends_with_it() -> None:
    command = (_unit_file.Word("$A", "a"),)
    words = _unit_file.expanded(command, {"A": _unit_file.Word("--b 'c d", "e")})
    assert [word.text for word in words] == ["--b", "c d"]


def test_each_word_tells_its_file() -> None:
    texts = {
        "unit": "[Service]\nEnvironmentFile=/e\nEnvironment=A=1\nExecStart=/x --a $B\n",
        "drop-in": "[Service]\nEnvironment=A=2\n",
        "/e": "B=--b\n",
    }
    service = _unit_file.service(UNIT, ["unit", "drop-in"], lambda path: texts[path])
    words = _unit_file.expanded(service.commands[0], service.environment)
    assert [(word.text, word.source) for word in words] == [("/x", "unit"), ("--a", "unit"), ("--b", "/e")]
    assert service.environment["A"] == _unit_file.Word("2", "drop-in")


@pytest.mark.parametrize(
    ("line", "variables"),
    [
        (r"A=1 B=\% C=3", {"A": "1"}),
        ('A=1 "B=2', {"A": "1"}),
        (r"A=\x41\s\u00e9 B=\"", {"A": "A é", "B": '"'}),
        ("A B=1 =2", {"B": "1"}),
    ],
)
def test_what_is_no_word_ends_a_list_of_variables(line: str, variables: dict[str, str]) -> None:
    service = _unit_file.service(UNIT, ["a"], lambda _path: f"[Service]\nEnvironment={line}\n")
    assert {name: word.text for name, word in service.environment.items()} == variables


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("", {}),
        ("\\", {}),
        ("A", {}),
        ("A=", {"A": ""}),
        ("A=\\", {"A": ""}),
        ('A="\\', {"A": "\\"}),
        ("  # A=1\n;A=2\nA = 3", {"A": "3"}),
        ("A=1 \\\n", {"A": "1 "}),
        ("=1\nA=2\n==3", {"A": "2", "=": "3"}),
        (
            "ID=\"debian\" \nNAME='Debian GNU/Linux'\nVERSION_CODENAME=trixie",
            {"ID": "debian", "NAME": "Debian GNU/Linux", "VERSION_CODENAME": "trixie"},
        ),
    ],
)
def test_files_of_variables(text: str, variables: dict[str, t.Any]) -> None:
    assert _env_file.parse(text) == variables


@given(st.lists(st.text("ab1 \"'\\$%{};#é@-:"), max_size=4))
def test_a_word_of_a_command_is_read_as_it_was_meant(arguments: list[str]) -> None:
    text = f"[Service]\nExecStart=/x {' '.join(map(quoted, arguments))}\n"
    service = _unit_file.service(UNIT, ["a"], lambda _path: text)
    words = _unit_file.expanded(service.commands[0], service.environment)
    assert [word.text for word in words] == ["/x", *arguments]


@given(st.text("aB1 \t\n\r\"'\\`$%#;=é"), st.text('ab"\\'))
def test_what_is_written_is_read(value: str, other: str) -> None:
    lines = [_env_file.assignment("A", value), _env_file.assignment("B", other)]
    assert _env_file.parse("\n".join(lines)) == {"A": value, "B": other}
