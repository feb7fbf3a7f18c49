# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What the unit mlops-gpu-metrics.service runs, without Ansible."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import typing as t

from .._errors import HostError
from .._runner import PlainRunner
from . import config
from .service import STATE_DIR, Service


def main(argv: t.Sequence[str] | None = None) -> int:
    """0 when it was stopped, or 1 with a sentence on standard error."""
    parser = argparse.ArgumentParser(description="Write what GPUs and their drivers tell for Prometheus.")
    parser.add_argument("--state-dir", default=STATE_DIR, help="where its file is (default: %(default)s)")
    parser.add_argument("--config", default=config.PATH, help="what it reads (default: %(default)s)")
    arguments = parser.parse_args(argv)
    threading.excepthook = _end
    try:
        service = Service(config.read(arguments.config), state_dir=arguments.state_dir, run=PlainRunner())
        signal.signal(signal.SIGTERM, lambda *_: service.stop())
        signal.signal(signal.SIGINT, lambda *_: service.stop())
        service.follow()
    except HostError as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    except OSError as exc:
        sys.stderr.write(f"{exc.filename} must be writable, and is not: {exc.strerror}\n")
        return 1
    return 0


def _end(args: threading.ExceptHookArgs) -> None:
    """A source that is lost must not look like one that is silent: systemd begins anew."""
    sys.excepthook(args.exc_type, args.exc_value or args.exc_type(), args.exc_traceback)
    os._exit(1)
