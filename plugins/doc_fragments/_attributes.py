# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What modules say of check mode, diff mode and platforms."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in C(check_mode)) in diff mode.
    support: full
  platform:
    description: Target operating systems.
    platforms: linux
    support: full
"""

    # For modules that change nothing.
    READ_ONLY = r"""
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
    support: full
    details: It changes nothing.
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in C(check_mode)) in diff mode.
    support: none
    details: It changes nothing.
  platform:
    description: Target operating systems.
    platforms: linux
    support: full
"""

    # For modules of which some or all is done on the controller.
    ACTION = r"""
attributes:
  action:
    description: Has a corresponding action plugin, so some parts of it are executed on the controller.
    support: full
"""
