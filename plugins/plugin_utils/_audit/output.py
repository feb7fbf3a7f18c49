# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The folder of the reports. The only file here that touches the disk."""

from __future__ import annotations

import os
import tempfile
import typing as t


class OutputError(Exception):
    """The folder cannot be used; the text is for a person."""


class Output:
    """A folder that can be written to."""

    def __init__(self, folder: str) -> None:
        """Make the folder and write to it, so that an audit does not end with nowhere to go. Raises OutputError."""
        self.folder = os.path.abspath(os.path.expanduser(folder))
        try:
            os.makedirs(self.folder, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass
        except OSError as exc:
            raise OutputError(
                f"audit_dir {self.folder} cannot be written: {exc.strerror or exc}; name a folder that can"
            ) from exc

    def write(self, texts: t.Mapping[str, str]) -> list[str]:
        """Replace each file as a whole. Returns the paths. Raises OutputError."""
        paths = []
        for name, text in texts.items():
            path = os.path.join(self.folder, name)
            staged = f"{path}.{os.getpid()}.new"
            try:
                # A result may hold bytes that are no text. As \udcxx they are still right in JSON.
                with open(staged, "w", encoding="utf-8", errors="backslashreplace") as out:
                    out.write(text)
                os.replace(staged, path)
            except OSError as exc:
                raise OutputError(f"{path} cannot be written: {exc.strerror or exc}") from exc
            paths.append(path)
        return paths
