# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints what installs the gateway's program, for the module component."""

from __future__ import annotations

import json
import os
import sys

sys.path[:0] = os.environ["ANSIBLE_COLLECTIONS_PATH"].split(":")

from ansible_collections.mlops.hosts.plugins.plugin_utils._gateway.program import resources  # noqa: E402

print(json.dumps(resources(python="/usr/bin/python3")))
