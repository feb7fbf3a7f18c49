# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The arguments of the modules ``bundle`` and ``mirror_info``."""

from __future__ import annotations

import typing as t

from .._component.arguments import SPEC as COMPONENT


def _text(**more: t.Any) -> dict[str, t.Any]:
    return {"type": "str", **more}


BUNDLE = {
    "dir": {"type": "path", "required": True},
    "work": {"type": "path", "required": True},
    "signing_key": {"type": "path", "no_log": False},
    "component": {
        "type": "dict",
        "options": {
            "name": _text(required=True),
            "repositories": COMPONENT["repositories"],
            "packages": COMPONENT["packages"],
            "preferences": {"type": "list", "elements": "str", "default": []},
        },
    },
    "model": {
        "type": "dict",
        "options": {
            "name": _text(required=True),
            "source": _text(required=True),
            "revision": _text(),
            "sha256": _text(),
            "folder": {"type": "path", "required": True},
        },
    },
    "environment": {
        "type": "dict",
        "options": {
            "name": _text(required=True),
            "python": _text(required=True),
            "requirements": _text(required=True),
            "index_url": _text(no_log=True),
            "extra_index_urls": {"type": "list", "elements": "str", "default": [], "no_log": True},
            "wheels": {"type": "path"},
            "only_binary": {"type": "bool", "default": True},
            "timeout_s": {"type": "int", "default": 3600},
        },
    },
    "image": {
        "type": "dict",
        "options": {
            "name": _text(required=True),
            "component": _text(required=True),
            "registries": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "name": _text(required=True),
                    "ca": _text(),
                    "username": _text(),
                    "password": _text(no_log=True),
                },
            },
        },
    },
}
PARTS = ("component", "model", "environment", "image")
MIRROR_INFO = {
    "url": _text(required=True),
    "manifest": {"type": "raw", "required": True},
    "components": {"type": "list", "elements": "str", "required": True},
    "suite": _text(),
    "arch": _text(),
}
