# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What NVIDIA's documents say of CUDA releases, drivers and GPU generations. Data, and nothing else.

Drivers: the tables "CUDA Toolkit and Corresponding Driver Versions" of the CUDA release notes, 12.x and 13.x, and
"Supported Drivers and CUDA Toolkit Versions" of the R620 data-centre driver (CUDA 13 from R580 on, without a forward
compatibility package). Generations: "CUDA Toolkit, Driver, and Architecture Matrix" of the data-centre drivers.
"""

from __future__ import annotations

import dataclasses

Release = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Needs:
    """``runs``: the first driver branch that runs it. ``full``: the first driver with all that it brings, if known."""

    runs: int
    full: str | None


# By CUDA release. 13.5 is in the documents without a driver of its own.
RELEASES: dict[Release, Needs] = {
    (11, 8): Needs(450, "520.61.05"),
    (12, 0): Needs(525, "525.60.13"),
    (12, 1): Needs(525, "530.30.02"),
    (12, 2): Needs(525, "535.54.03"),
    (12, 3): Needs(525, "545.23.06"),
    (12, 4): Needs(525, "550.54.14"),
    (12, 5): Needs(525, "555.42.02"),
    (12, 6): Needs(525, "560.28.03"),
    (12, 8): Needs(525, "570.26"),
    (12, 9): Needs(525, "575.51.03"),
    (13, 0): Needs(580, "580.65.06"),
    (13, 1): Needs(580, "590.44.01"),
    (13, 2): Needs(580, "595.45.04"),
    (13, 3): Needs(580, "610.43.02"),
    (13, 4): Needs(580, "615"),
    (13, 5): Needs(580, None),
}

# The first and the last release that makes code for a generation. Turing and Ampere: all that are listed above.
FIRST_RELEASE: dict[str, Release] = {"ada": (11, 8), "hopper": (11, 8), "blackwell": (12, 8)}
LAST_RELEASE: dict[str, Release] = {"kepler": (11, 8), "maxwell": (12, 9), "pascal": (12, 9), "volta": (12, 9)}
