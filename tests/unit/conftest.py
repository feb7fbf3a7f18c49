# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets the tests import the collection by its real name from a checkout in any folder, as ansible-test does."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import sys
import types

import hypothesis

ROOT = pathlib.Path(__file__).resolve().parents[2]

try:
    known = importlib.util.find_spec("ansible_collections.mlops.hosts") is not None
except ModuleNotFoundError:
    known = False
if not known:
    for name, path in {
        "ansible_collections": [],
        "ansible_collections.mlops": [],
        "ansible_collections.mlops.hosts": [str(ROOT)],
    }.items():
        package = sys.modules.setdefault(name, types.ModuleType(name))
        package.__path__ = [*getattr(package, "__path__", []), *path]

# A client of HTTP reads all authorities that its machine trusts, which takes longer than most tests. None needs one.
os.environ["SSL_CERT_FILE"] = os.devnull

# A loaded machine is slow, which is no finding. CI tries the same examples each time; a developer's run tries new ones.
hypothesis.settings.register_profile(
    "here",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.function_scoped_fixture],
    derandomize="CI" in os.environ,
)
hypothesis.settings.load_profile("here")
