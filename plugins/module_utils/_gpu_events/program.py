# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What the unit mlops-gpu-events.service runs, without Ansible."""

from __future__ import annotations

import argparse
import signal
import sys
import typing as t

from .._errors import HostError
from .._runner import PlainRunner
from .service import STATE_DIR, Service


def main(argv: t.Sequence[str] | None = None) -> int:
    """0 when it was stopped, or 1 with a sentence on standard error."""
    parser = argparse.ArgumentParser(
        description="Write what the kernel logs of GPUs to the journal and for Prometheus."
    )
    parser.add_argument("--state-dir", default=STATE_DIR, help="where its files are (default: %(default)s)")
    parser.add_argument(
        "--window-s", type=float, default=60, help="lines that say the same are one event for so long (%(default)s)"
    )
    arguments = parser.parse_args(argv)
    service = Service(state_dir=arguments.state_dir, window_s=arguments.window_s, run=PlainRunner())
    signal.signal(signal.SIGTERM, lambda *_: service.stop())
    signal.signal(signal.SIGINT, lambda *_: service.stop())
    try:
        service.follow()
    except HostError as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    except OSError as exc:
        sys.stderr.write(
            f"{exc.filename or 'The socket of the journal'} must be writable, and is not: {exc.strerror}\n"
        )
        return 1
    return 0
