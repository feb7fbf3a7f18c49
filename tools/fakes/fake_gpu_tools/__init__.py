# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fakes of GPU tools with one state on disk, for tests on hosts without a GPU.

Nothing of it is real: the numbers of a model are those of its data sheet and of captured output, the instances, clients
and faults are what a test asked for.
"""

# The module that is each program.
PROGRAMS = {
    "nvidia-smi": "nvidia_smi",
    "nvidia-ctk": "nvidia_ctk",
    "dcgmi": "dcgmi",
    "nvbandwidth": "nvbandwidth",
    "amd-smi": "amd_smi",
    "amd-ctk": "amd_ctk",
    "fake-gpu": "control",
}
