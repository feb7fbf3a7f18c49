# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter awx_survey. Its documentation lies next to this file."""

from __future__ import annotations

import functools
import typing as t

from ansible.errors import AnsibleFilterError

from ..plugin_utils._awx.survey import Refused, survey
from ..plugin_utils._roles.options import Spec
from ..plugin_utils._roles.platform import ROLES
from ..plugin_utils._roles.variables import plain, specification


@functools.cache
def _options() -> Spec:
    """Of all roles: each begins with the name of its role, so that none is there twice."""
    roles = sorted(path.parent.parent.name for path in ROLES.glob("*/meta/argument_specs.yml"))
    return {name: option for role in roles for name, option in specification(role).items()}


def awx_survey(names: t.Any, name: str = "", description: str = "", defaults: bool = False) -> dict[str, t.Any]:
    """The survey of a job template that asks for these options."""
    try:
        return survey(_options(), plain(names), name=str(name), description=str(description), defaults=bool(defaults))
    except Refused as exc:
        raise AnsibleFilterError(f"mlops.hosts.awx_survey: {exc}") from exc


class FilterModule:
    """The filter by name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"awx_survey": awx_survey}
