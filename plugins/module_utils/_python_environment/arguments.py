# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The arguments of the module ``python_environment``: of the module itself, and of what calls it on the controller."""

from __future__ import annotations

import typing as t

BASE = "/opt/mlops.hosts/environments"
SPEC = {
    "name": {"type": "str"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "base": {"type": "path", "default": BASE},
    "python": {"type": "str"},
    "requirements": {"type": "str"},
    "index_url": {"type": "str", "no_log": True},
    "extra_index_urls": {"type": "list", "elements": "str", "default": [], "no_log": True},
    "wheels": {"type": "path"},
    "only_binary": {"type": "bool", "default": True},
    "complete": {"type": "bool", "default": True},
    "keep": {"type": "int", "default": 1},
    "verify": {"type": "str", "choices": ["fast", "full"], "default": "fast"},
    "timeout_s": {"type": "int", "default": 3600},
    "retries": {"type": "int", "default": 5},
    "lock_timeout_s": {"type": "int", "default": 120},
}
EXCLUSIVE = [("wheels", "index_url")]
REQUIRED_IF = [("state", "present", ["name", "requirements"])]


def reads_environment(args: t.Mapping[str, t.Any]) -> bool:
    """Whether the host's own ~ and $HOME are meant, which are not known on the controller."""
    return any(mark in str(args.get(name)) for name in ("base", "wheels") for mark in "~$")
