# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""A file of metrics that a program keeps in its own folder, and node_exporter reads by a link. Pure."""

from __future__ import annotations

import typing as t


def problems(role: str, folder: str) -> t.Iterator[str]:
    """``folder`` is the option ``textfile_dir`` of the role, empty for none."""
    if folder and (not folder.startswith("/") or folder.endswith("/")):
        yield f"{role}_textfile_dir must be an absolute path without a slash at its end, not '{folder}'."


def requires(role: str, folder: str, link: str) -> list[dict[str, t.Any]]:
    """None without a folder."""
    return [{"kind": "textfile", "path": folder, "name": link, **_messages(role)}] if folder else []


def links(folder: str, link: str, target: str) -> list[dict[str, t.Any]]:
    """The program needs no right to write where the files of others are. None without a folder."""
    return [{"path": f"{folder}/{link}", "target": target, "on_change": "none"}] if folder else []


def _messages(role: str) -> dict[str, t.Any]:
    return {
        "msg": (
            "The directory {what} must be there for node_exporter to read, and is {found}: set "
            f"{role}_textfile_dir to the directory of its option --collector.textfile.directory, or to an empty text "
            "for no metrics."
        ),
        "msg_for": {
            "several": (
                "One node_exporter must run on the host to read {what}, and there are {found}: stop all but one, or "
                f"set {role}_textfile_dir to an empty text."
            ),
            "denied": (
                "The directory {what} must be readable by node_exporter, which runs as {found}, and is not: change the "
                f"modes of its path, or {role}_textfile_dir."
            ),
            "written": (
                "{what} must be a link that this role makes, and is {found} that another program writes: stop that "
                "program and remove the file."
            ),
        },
    }
