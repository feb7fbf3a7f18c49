#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Play nv-hostengine: listen on port 5555 of loopback, and say nothing. For tests; there is no GPU and no DCGM.

As any program whose unit is of Type=simple, it runs before it listens, here for long enough that it shows.
"""

from __future__ import annotations

import socketserver
import time


class Engine(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


time.sleep(2)
Engine(("127.0.0.1", 5555), socketserver.BaseRequestHandler).serve_forever()
