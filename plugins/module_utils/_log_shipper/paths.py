# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Where what runs on a host without Ansible has its files."""

from __future__ import annotations

PROGRAM = "/usr/local/sbin/mlops-log-shipper"
# What it has to know of the pipeline; the role writes it.
PLAN = "/etc/mlops-log-shipper/plan.json"
SPOOL = "/var/spool/mlops-log-shipper"
# Prometheus reads its files, and none of those above.
STATE = "/var/lib/mlops-log-shipper"
METRICS = f"{STATE}/log_shipper.prom"
# How long a shipper that stops may take to send what is in its memory, for each sink.
DRAIN_S = 5
