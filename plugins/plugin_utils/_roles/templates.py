# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Renders the templates of roles, from what their builders made and nothing else.

Plain Jinja: Ansible's own templating would look for further templates in values that are complete.
"""

from __future__ import annotations

import contextlib
import pathlib
import typing as t

import jinja2
from ansible.plugins.filter.core import comment, to_json

from .platform import ROLES


class _Kept(jinja2.FileSystemBytecodeCache):
    """What one process compiled, for the others of a run: each task of each host is a process of its own."""

    def load_bytecode(self, bucket: t.Any) -> None:
        # Jinja before 3.1.2 does not write it in one step: another process reads half of one.
        try:
            super().load_bytecode(bucket)
        except Exception:  # whatever pickle makes of it
            bucket.reset()

    def dump_bytecode(self, bucket: t.Any) -> None:
        with contextlib.suppress(OSError):
            super().dump_bytecode(bucket)


def find(role: str, name: str) -> pathlib.Path | None:
    path = ROLES / role / "templates" / name
    return path if path.is_file() else None


def render(
    role: str, name: str, variables: t.Mapping[str, t.Any], *, managed: str = "Ansible managed", kept: str | None = None
) -> str:
    """``managed``: the text that says who wrote the file. ``kept``: a folder that only this run can write to.

    jinja2.UndefinedError where the template reads what is not there.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ROLES / role / "templates"),
        bytecode_cache=_Kept(kept, "mlops.hosts-template-%s") if kept else None,
        trim_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: "" if value is None else value,
    )
    environment.filters.update(comment=comment, to_json=to_json)
    return environment.get_template(name).render({"ansible_managed": managed, **variables})
