# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The arguments of the module ``component``: of the module itself, and of what calls it on the controller."""

from __future__ import annotations

import typing as t


def _text(**more: t.Any) -> dict[str, t.Any]:
    return {"type": "str", **more}


def _items(**more: t.Any) -> dict[str, t.Any]:
    return {"type": "list", "elements": "str", **more}


def _dicts(**options: t.Any) -> dict[str, t.Any]:
    return {"type": "list", "elements": "dict", "default": [], "options": options}


_OWNER = {"owner": _text(default="root"), "group": _text(default="root")}
_EFFECT = {
    "on_change": _text(choices=["restart", "reload", "none", "reboot"], default="restart"),
    "units": _items(),
}

SPEC = {
    "name": _text(required=True),
    "state": _text(choices=["present", "absent"], default="present"),
    "repositories": _dicts(
        name=_text(required=True),
        uris=_items(required=True),
        suites=_items(default=[]),
        components=_items(default=[]),
        architectures=_items(default=[]),
        key=_text(no_log=False),
        key_src=_text(no_log=False),
        fingerprint=_text(required=True),
        gpg_check=_text(choices=["packages", "metadata"], default="packages"),
    ),
    "packages": _dicts(
        name=_text(required=True),
        state=_text(choices=["present", "absent"], default="present"),
        version=_text(),
        hold={"type": "bool", "default": False},
        on_change=_text(choices=["restart", "none", "reboot"], default="restart"),
        before_packages={"type": "bool", "default": False},
        owned={"type": "bool", "default": True},
    ),
    "users": _dicts(
        name=_text(required=True),
        home=_text(default="/nonexistent"),
        shell=_text(default="/usr/sbin/nologin"),
        groups=_items(default=[]),
    ),
    "directories": _dicts(
        path=_text(required=True),
        **_OWNER,
        mode=_text(default="0755"),
        purge={"type": "bool", "default": False},
        **_EFFECT,
    ),
    "files": _dicts(
        path=_text(required=True),
        content=_text(),
        template=_text(),
        template_vars={"type": "dict", "default": {}},
        src=_text(),
        json_keys={"type": "dict", "no_log": False},
        json_only={"type": "dict", "default": {}},
        reload_keys=_items(default=[], no_log=False),
        **_OWNER,
        mode=_text(default="0644"),
        validate=_items(default=[]),
        validate_as=_text(),
        validate_with=_items(default=[]),
        apply_command=_items(default=[]),
        **_EFFECT,
        secret={"type": "bool", "default": False, "no_log": False},
        before_packages={"type": "bool", "default": False},
    ),
    "links": _dicts(path=_text(required=True), target=_text(required=True), **_EFFECT),
    "absent_paths": _items(default=[]),
    "images": _dicts(
        name=_text(required=True),
        engine=_text(choices=["docker", "podman"], required=True),
        needs_driver={"type": "bool", "default": False},
        mirror=_text(),
    ),
    "units": _dicts(
        name=_text(required=True),
        state=_text(choices=["started", "stopped", "unmanaged"], default="started"),
        enabled={"type": "bool", "default": True},
        drop_ins=_text(choices=["remove", "keep"], default="remove"),
    ),
    "requires": _dicts(
        kind=_text(choices=["port", "path", "mount", "empty", "name", "disk", "textfile"], required=True),
        msg=_text(required=True),
        msg_for={"type": "dict", "default": {}},
        otherwise=_text(choices=["fail", "wait"], default="fail"),
        ends_with=_text(),
        port={"type": "int"},
        address=_text(),
        units=_items(default=[]),
        path=_text(),
        type=_text(choices=["file", "directory"]),
        max_mode=_text(),
        executable={"type": "bool", "default": False},
        name=_text(),
        min_bytes={"type": "int"},
    ),
    "ready": _dicts(
        unit=_text(),
        tcp=_text(),
        http=_text(),
        command=_items(),
        inference={
            "type": "dict",
            "options": {
                "url": _text(required=True),
                "kind": _text(default="completion", choices=["completion", "embedding", "tensor"]),
                "model": _text(),
                "prompt": _text(default="Hello"),
                "max_tokens": {"type": "int", "default": 8, "no_log": False},
                "api_key_file": _text(no_log=False),
                "expect": _text(),
                "expectation": {"type": "raw"},
                "models_file": {"type": "path"},
                "max_ttft_s": {"type": "float"},
                "min_tokens_per_s": {"type": "float", "no_log": False},
                "closed_paths": _items(),
                "inputs": _dicts(
                    name=_text(required=True),
                    data={"type": "list", "elements": "raw"},
                    shape={"type": "list", "elements": "int"},
                ),
            },
        },
        timeout_s={"type": "int", "default": 60},
    ),
    "settle_s": {"type": "int", "default": 5},
    "lock_timeout_s": {"type": "int", "default": 120},
    "_call": {
        "type": "dict",
        "options": {
            "run": _text(required=True),
            "controller": _text(required=True),
            "work_error": _text(),
            "earlier": _items(default=[]),
        },
    },
    # Not within _call: Ansible writes options to the host's journal, and there it leaves out only whole ones.
    "_secrets": {"type": "dict", "default": {}, "no_log": True},
}


def complete(params: dict[str, t.Any]) -> dict[str, t.Any]:
    """The parameters with secret contents where they belong."""
    files = [
        {**file, "content": params["_secrets"].get(file["path"], file["content"])} if file["secret"] else file
        for file in params["files"]
    ]
    return {**{name: value for name, value in params.items() if name not in ("_call", "_secrets")}, "files": files}
