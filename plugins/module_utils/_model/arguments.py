# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The arguments of the module ``model_artifact``: of the module itself, and of what calls it on the controller."""

from __future__ import annotations

import typing as t

FILES = {
    "path": {"type": "str", "required": True},
    "sha256": {"type": "str"},
    "size": {"type": "int"},
    "version_id": {"type": "str"},
}
S3 = {
    "region": {"type": "str"},
    "addressing": {"type": "str", "choices": ["auto", "path", "virtual"], "default": "auto"},
    "access_key": {"type": "str", "no_log": True},
    "secret_key": {"type": "str", "no_log": True},
    "session_token": {"type": "str", "no_log": True},
    "credentials_file": {"type": "path", "no_log": False},
}
ARTIFACTS = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "source": {"type": "str"},
    "revision": {"type": "str"},
    "sha256": {"type": "str"},
    "files": {"type": "list", "elements": "dict", "default": [], "options": FILES},
    "include": {"type": "list", "elements": "str", "default": []},
    "exclude": {"type": "list", "elements": "str", "default": []},
    "endpoint": {"type": "str"},
    "token": {"type": "str", "no_log": True},
    "token_file": {"type": "path", "no_log": False},
    "username": {"type": "str"},
    "s3": {
        "type": "dict",
        "options": S3,
        "required_together": [("access_key", "secret_key")],
        "required_by": {"session_token": ["access_key"]},
        "mutually_exclusive": [("access_key", "credentials_file")],
    },
}
SPEC = {
    "artifacts": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": ARTIFACTS,
        "required_if": [("state", "present", ["source"])],
        "mutually_exclusive": [("token", "token_file")],
    },
    "store": {"type": "path", "default": "/var/lib/mlops-models"},
    "owner": {"type": "str"},
    "group": {"type": "str"},
    "mode": {"type": "str", "default": "0644"},
    "endpoint": {"type": "str", "default": "https://huggingface.co"},
    "token": {"type": "str", "no_log": True},
    "token_file": {"type": "path", "no_log": False},
    "seeds": {"type": "list", "elements": "str", "default": []},
    "ca_path": {"type": "path"},
    "keep": {"type": "int"},
    "verify": {"type": "bool", "default": False},
    "parallel": {"type": "int", "default": 4},
    "retries": {"type": "int", "default": 5},
    "max_wait_s": {"type": "int", "default": 600},
    "timeout_s": {"type": "int", "default": 60},
    "reserve_mib": {"type": "int", "default": 1024},
    "mount_required": {"type": "bool", "default": False},
    "purge": {"type": "bool", "default": False},
    "lock_timeout_s": {"type": "int", "default": 120},
    "progress_s": {"type": "int", "default": 60},
    "defer_above_mib": {"type": "int"},
}
EXCLUSIVE = [("token", "token_file")]


def reads_environment(args: t.Mapping[str, t.Any]) -> bool:
    """Whether the host's own ~ and $HOME are meant, which are not known on the controller."""
    return "~" in str(args) or "$" in str(args)
