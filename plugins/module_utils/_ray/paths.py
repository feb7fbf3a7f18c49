# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Where things of a Ray cluster are on its hosts, and how they are called."""

from __future__ import annotations

UNIT = "mlops-ray.service"
USER = "mlops-ray"
PROGRAM = "/usr/local/sbin/mlops-ray"

CONFIG = "/etc/mlops.hosts/ray_cluster"
TOKEN = f"{CONFIG}/token"
NODE = f"{CONFIG}/node.json"
SUPERVISE = f"{CONFIG}/supervise"
ENV = f"{CONFIG}/env"

# Which variables vLLM, run on the cluster, hands on to no other host.
VLLM = f"{CONFIG}/vllm"
VLLM_KEPT = f"{VLLM}/ray_non_carry_over_env_vars.json"

STATE = "/var/lib/mlops-ray"
# Ray makes it 0777, and is to do so in a folder that only its user enters.
TEMP = f"{STATE}/tmp"

# What Ray reads to ask for the token. The path is no secret.
AUTHENTICATION = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": TOKEN}
