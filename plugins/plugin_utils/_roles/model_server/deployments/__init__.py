# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""How the program of an instance comes to a host, by name. The option ``deployment`` has ``container`` for those with
a container, of which the host decides."""

from __future__ import annotations

import typing as t

from . import docker, native, podman
from .base import Deploy

DEPLOYMENTS: t.Mapping[str, Deploy] = {"native": native.parts, "docker": docker.parts, "podman": podman.parts}
