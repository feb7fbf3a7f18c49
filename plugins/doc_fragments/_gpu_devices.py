# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The options of modules that change GPUs."""

from __future__ import annotations


class ModuleDocFragment:
    # Fragments merge options, not their suboptions, so each module has its own O(devices[].select).
    DOCUMENTATION = r"""
options:
  devices:
    description:
      - What is desired of which GPUs. What is left out is left alone.
      - A GPU may be selected by several entries. That they disagree is an error.
    type: list
    elements: dict
    required: true
  reset:
    description:
      - Whether a GPU that waits for a reset may be reset when no process uses it.
    type: str
    choices: [never, when_idle]
    default: never
  services:
    description:
      - Units that keep GPUs busy, such as V(nvidia-dcgm.service), V(nvidia-persistenced.service), exporters and model
        servers. Those that run are stopped in this order before a change that programs would notice, and started again
        in reverse order, also when it fails half-way.
    type: list
    elements: str
    default: []
notes:
  - An index does not select a GPU, because it is not an identity. It changes when a GPU is added or lost.
  - A selector that matches no GPU is an error that lists those there are.
  - NVIDIA only.
seealso:
  - module: mlops.hosts.gpu_info
"""
