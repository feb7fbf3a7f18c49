#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an exporter does that starts nvidia-smi for each scrape: a call, and its XML parsed by the same code.

per_scrape.py INTERVAL_S
"""

from __future__ import annotations

import sys
import time

sys.path.insert(0, "/usr/local/lib/mlops.hosts/gpu_metrics")

from mlops_hosts._exposition import Page
from mlops_hosts._gpu import info
from mlops_hosts._gpu_metrics import gpus, nvidia, tell
from mlops_hosts._gpu_metrics.families import FAMILIES
from mlops_hosts._runner import PlainRunner

run = PlainRunner()
while True:
    document = run(*gpus.QUERY)
    report = info.collect(lambda *argv, done=document, **more: done if argv == gpus.QUERY else run(*argv, **more))
    page = Page(FAMILIES)
    tell.tell_gpus(page, gpus.Gpus(report, len(report.gpus), nvidia.readings(document.stdout)))
    page.text()
    time.sleep(float(sys.argv[1]))
