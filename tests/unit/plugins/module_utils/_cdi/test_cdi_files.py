# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The texts of CDI specifications: one that cannot be read hides no other."""

from __future__ import annotations

import pathlib

from ansible_collections.mlops.hosts.plugins.module_utils._cdi import files


def test_files_are_read_in_their_order_and_missing_directories_passed_over(tmp_path: pathlib.Path) -> None:
    for name, text in (("b.json", "{}"), ("a.yaml", "é"), ("note.txt", "no"), (".hidden.yaml", "")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    found = files.read_all([str(tmp_path / "none"), str(tmp_path / "a.yaml"), str(tmp_path)])
    assert [(pathlib.Path(file.path).name, file.text) for file in found] == [
        (".hidden.yaml", ""),
        ("a.yaml", "é"),
        ("b.json", "{}"),
    ]


def test_what_cannot_be_read_is_said_and_hides_nothing(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.yaml").symlink_to("/nowhere")
    (tmp_path / "b.yaml").symlink_to(tmp_path)
    (tmp_path / "c.yaml").write_bytes(b"kind: \xe9\n")
    (tmp_path / "d.yaml").write_text("x")
    (tmp_path / "folder.yaml").mkdir()
    found = {pathlib.Path(file.path).name: file for file in files.read_all([str(tmp_path)])}
    assert {name: file.problem for name, file in found.items()} == {
        "a.yaml": "No such file or directory",
        "b.yaml": "Is a directory",
        "c.yaml": "it is not UTF-8: byte 6 is 0xe9",
        "d.yaml": None,
    }
    assert found["d.yaml"].text == "x"


def test_words_that_may_be_paths_are_found() -> None:
    text = """{"a": "/dev/nvidia0", b: '/usr/lib/x.so.1', c: [/dev/dri/by-path/pci-0000:1a:00.0-card,/etc/y]}"""
    assert files.paths_in([text, "- /z # no\n"]) == {
        "/dev/nvidia0",
        "/usr/lib/x.so.1",
        "/dev/dri/by-path/pci-0000:1a:00.0-card",
        "/etc/y",
        "/z",
    }
