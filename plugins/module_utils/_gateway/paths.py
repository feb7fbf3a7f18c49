# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Where things of the gateway are on its host."""

from __future__ import annotations

UNIT = "mlops-gateway.service"
USER = "haproxy"
PROGRAM = "/usr/local/sbin/mlops-gateway"
HAPROXY = "/usr/sbin/haproxy"

CONFIG = "/etc/mlops.hosts/model_gateway"
HAPROXY_CFG = f"{CONFIG}/haproxy.cfg"
UPSTREAM_CFG = f"{CONFIG}/upstream.cfg"
KEYS_MAP = f"{CONFIG}/keys.map"
LIMITS_MAP = f"{CONFIG}/limits.map"
TLS_PEM = f"{CONFIG}/tls.pem"
MODEL_LUA = f"{CONFIG}/model.lua"
TOKENS_LUA = f"{CONFIG}/tokens.lua"

RUN = "/run/mlops-gateway"
MASTER_SOCKET = f"{RUN}/master.sock"
API_SOCKET = f"{RUN}/api.sock"
RUNNING = f"{RUN}/running.json"

STATE = "/var/lib/mlops-gateway"
SERVERS_STATE = f"{STATE}/servers.state"

FRONTEND = "clients"
BACKEND_PREFIX = "model."
