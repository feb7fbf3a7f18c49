#!/bin/busybox sh
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Play dcgm-exporter in an image that has nothing but busybox, as fake_exporter.py does elsewhere: made-up values of the fields
# of a file. Besides it tells what it was given: its capabilities, and simulated GPUs. For tests; there is no GPU and no DCGM.
#   fake_exporter.sh -f COUNTERS.csv -a ADDRESS:PORT [-r HOST:PORT]
set -eu
engine=
while getopts f:a:r: option; do
  case $option in
    f) counters=$OPTARG ;;
    a) listens=$OPTARG ;;
    r) engine=$OPTARG ;;
    *) exit 2 ;;
  esac
done
if [ -n "$engine" ]; then
  busybox nc -w 5 "${engine%:*}" "${engine##*:}" </dev/null
fi
busybox mkdir -p /tmp/page
{
  busybox awk -F', *' '/^DCGM_/ && $2 != "label" {print "# TYPE " $1 " " $2; print $1 "{gpu=\"0\",UUID=\"GPU-fake\"} 1"}' "$counters"
  busybox awk '/^CapEff/ {print "fake_capabilities{effective=\"" $2 "\"} 1"}' /proc/self/status
  echo "fake_gpus{given=\"${SIMULATED_GPUS:-none}\"} 1"
} >/tmp/page/metrics
exec busybox httpd -f -p "$listens" -h /tmp/page
