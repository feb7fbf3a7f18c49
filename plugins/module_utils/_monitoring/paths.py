# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Where what runs on a monitored host has its files."""

from __future__ import annotations

PROGRAM = "/usr/local/sbin/mlops-monitoring"
CONFIG = "/etc/mlops.hosts/monitoring"
# What the program has to know; the role writes it.
PLAN = f"{CONFIG}/plan.json"
PROMETHEUS_YML = f"{CONFIG}/prometheus.yml"
ALERTMANAGER_YML = f"{CONFIG}/alertmanager.yml"
RULES = f"{CONFIG}/rules"
TARGETS = f"{CONFIG}/targets"
KEYS = f"{CONFIG}/keys"
# By part: its unit, and the user that it runs as.
UNITS = {
    "node_exporter": "mlops-node-exporter.service",
    "prometheus": "mlops-prometheus.service",
    "alertmanager": "mlops-alertmanager.service",
}
USERS = {part: unit[: -len(".service")] for part, unit in UNITS.items()}
# Samples; silences and what was notified of.
STATES = {part: f"/var/lib/{USERS[part]}" for part in ("prometheus", "alertmanager")}
