#!/bin/sh
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# small_lists.sh PATTERN: of apt's lists, leave the packages whose whole name is like the pattern, and all that they need
# or recommend. apt does not fetch a list again while the repository's own index of lists is the same, so that they stay
# small after apt-get update, and are whole again where the repository has changed.
set -eu
sources=/etc/apt/sources.list.d/debian.sources
work=$(mktemp -d)

# Drivers are in components that a scenario opens itself; what they need of main is needed then.
cp -p "$sources" "$work/sources"
sed -i 's/^Components: .*/Components: main contrib non-free non-free-firmware/' "$sources"
apt-get update -qq -o APT::Update::Error-Mode=any
# shellcheck disable=SC2046
apt-cache depends --recurse --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances \
    $(apt-cache pkgnames | grep -xE "$1") | sed -n 's/^\([a-z0-9][^: ]*\).*/\1/p' >"$work/names"
dpkg-query -W -f '${Package}\n' >>"$work/names"

cp -p "$work/sources" "$sources"
apt-get update -qq -o APT::Update::Error-Mode=any
for list in /var/lib/apt/lists/*_Packages; do
    awk 'NR == FNR { listed[$0]; next } /^Package: / { on = $2 in listed } on' "$work/names" "$list" >"$work/list"
    cat "$work/list" >"$list"
done
rm -rf "$work" /var/cache/apt/*.bin /var/lib/apt/lists/*_i18n_*
