# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""All that the role ``model_server`` needs to know before it asks a host. Pure."""

from __future__ import annotations

import re
import typing as t

from .component import component, probes
from .instance import Data, present
from .objections import problems, questions

_SCOPE = re.compile(r"[a-z0-9_-]{0,32}\Z")


def request(
    items: t.Sequence[Data],
    *,
    user: str,
    groups: t.Sequence[str] = (),
    packages: t.Sequence[Data] = (),
    platform: str = "this platform",
    scope: str = "",
) -> dict[str, t.Any]:
    """All that the role needs to know before it asks a host: see the filter ``model_server_request``."""
    found = [*problems(items), *_no_package(items, packages, platform)]
    if not _SCOPE.match(scope):
        found.append(f"model_server_scope is {scope!r}; use up to 32 small letters, digits, '-' and '_'.")
    usable = () if found else items
    return {
        "problems": found,
        "component": component(usable, user=user, groups=groups, packages=packages),
        "questions": questions(usable),
        "probes": probes(usable),
    }


def _no_package(items: t.Iterable[Data], packages: t.Sequence[Data], platform: str) -> t.Iterator[str]:
    needy = [instance.name for instance in present(items) if instance.binary is None]
    if needy and not packages:
        yield (
            f"No package with llama-server is known for {platform} (known: Debian forky), and model server instance "
            f"{needy[0]!r} has no binary; set its binary to a llama-server on the host, or set model_server_packages."
        )
