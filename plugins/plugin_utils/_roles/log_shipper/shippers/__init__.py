# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The programs that ship logs, by ``log_shipper_provider``. A new one is a file here and a row of ``vars/``."""

from __future__ import annotations

from .alloy import Alloy
from .base import Shipper
from .fluent_bit import FluentBit
from .otelcol import Otelcol
from .rsyslog import Rsyslog
from .syslog_ng import SyslogNg
from .vector import Vector

SHIPPERS: dict[str, type[Shipper]] = {
    shipper.name: shipper for shipper in (Rsyslog, SyslogNg, FluentBit, Vector, Alloy, Otelcol)
}
