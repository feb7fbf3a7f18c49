# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What check mode says of packages while what decides on them is still to be written."""

from __future__ import annotations

import types

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._component import engine, package_index, selection
from ansible_collections.mlops.hosts.plugins.module_utils._component.desired import DesiredPackage, Effect
from ansible_collections.mlops.hosts.plugins.module_utils._component.package_index import Offer
from ansible_collections.mlops.hosts.plugins.module_utils._component.packages import Work
from ansible_collections.mlops.hosts.plugins.module_utils._component.plan import Plan
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError

DESIRED = DesiredPackage("driver", True, "610.*", False, Effect("none"))
STREAM = "/etc/dnf/modules.d/nvidia-driver.module"


def early(*paths):
    """The early files that a plan writes."""
    changes = [types.SimpleNamespace(path=path, after=types.SimpleNamespace(kind="file")) for path in paths]
    fields = types.SimpleNamespace(before_packages=changes, to_install=(DESIRED,))
    return Plan.adds_sources.fget(fields), Plan.repins.fget(fields)


@pytest.fixture
def foresee(monkeypatch):
    """Foresee with these early files and offered versions; whether the change was rehearsed is in foresee.rehearsed."""

    def act(*paths, versions=(), manager="dnf"):
        sources, repins = early(*paths)
        planned = types.SimpleNamespace(
            work=(Work("present", ("driver-610.*",)),),
            manager=manager,
            to_install=(DESIRED,),
            repins=repins,
            adds_sources=sources,
            interrupted=False,
        )
        monkeypatch.setattr(package_index, "known", lambda *_args: Offer({"driver": list(versions)}, 0.0))
        monkeypatch.setattr(package_index, "instead", lambda *_args: "")
        monkeypatch.setattr(selection, "hint", lambda *_args: "")
        monkeypatch.setattr(selection, "pinned_away", lambda *_args: None)
        monkeypatch.setattr(selection, "pinned_whatever_comes", lambda *_args: None)
        monkeypatch.setattr(engine, "_opened", lambda *_args: [])

        def rehearse(*_args, **_more):
            act.rehearsed = True
            return package_index.Rehearsal({}, "it cannot be")

        monkeypatch.setattr(package_index, "rehearse", rehearse)
        return engine._foresee(planned, types.SimpleNamespace(earlier=(), component=None), None, None)

    act.rehearsed = False
    return act


def test_versions_that_a_module_stream_hides_are_no_refusal_while_another_is_to_come(foresee):
    (warning,), _moves = foresee(STREAM, versions=["580.95.05"])
    assert warning.startswith("package driver is desired at 610.*")
    assert warning.endswith(f"it may be in what check mode does not write: {STREAM}")
    with pytest.raises(HostError, match="is desired at 610"):
        foresee("/etc/modprobe.d/driver.conf", versions=["580.95.05"])


@pytest.mark.parametrize("path", ["/etc/apt/preferences.d/driver", STREAM, "/etc/apt/sources.list.d/x.sources"])
def test_what_is_still_to_decide_on_versions_cannot_be_rehearsed(foresee, path):
    assert foresee(path, versions=["610.57.04"], manager="apt") == (
        [],
        {"driver": package_index.Move(None, "610.57.04")},
    )
    assert not foresee.rehearsed


def test_all_else_is_rehearsed(foresee):
    with pytest.raises(HostError, match="it cannot be"):
        foresee("/etc/modprobe.d/driver.conf", versions=["610.57.04"], manager="apt")
