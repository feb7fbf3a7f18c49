# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What roles that write quadlets know of Podman's generator."""

from __future__ import annotations

FOLDER = "/etc/containers/systemd"
# The oldest Podman that has it.
OLDEST = (4, 4)
# A folder of its own for the staged file, so that no other unit is checked with it. One that is invalid makes no unit.
VALIDATE = [
    "sh",
    "-c",
    'QUADLET_UNIT_DIRS="${0%/*}" exec /usr/lib/systemd/system-generators/podman-system-generator --dryrun >/dev/null',
    "{staged}",
]
