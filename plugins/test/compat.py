# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test compat. Its documentation lies next to this file."""

from __future__ import annotations

import typing as t

from ..module_utils._driver import compat


class TestModule:
    """The test by name."""

    def tests(self) -> dict[str, t.Callable[..., bool]]:
        return {"compat": compat.fits}
