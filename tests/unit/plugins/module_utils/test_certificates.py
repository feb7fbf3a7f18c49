# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates are made by another library than the one that reads them."""

from __future__ import annotations

import datetime

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils import _certificates as certificates
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.tests.unit.plugins.module_utils._gateway.support import NOW, UTC, pem


@pytest.mark.parametrize(
    ("ends", "days", "problem", "warning"),
    [
        (datetime.datetime(2026, 11, 29, 11, tzinfo=UTC), -1, "has expired at 2026-11-29 11:00 UTC", ""),
        (datetime.datetime(2026, 12, 9, 13, tzinfo=UTC), 10, None, "expires in 10 days"),
        (datetime.datetime(2026, 12, 14, 12, tzinfo=UTC), 15, None, None),
        # RFC 5280 writes years from 2050 on in another way.
        (datetime.datetime(2051, 1, 1, tzinfo=UTC), 8798, None, None),
    ],
)
def test_when_it_ends(ends, days, problem, warning):
    (found,) = certificates.read("/x.pem", pem(ends))
    assert (found.not_after, found.days_left(NOW)) == (ends, days)
    assert found.as_row(NOW)["expires_soon"] is (days < 14)
    told = certificates.problem(found, NOW)
    assert problem in told if problem else told is None
    if warning != "":
        told = certificates.warning(found, NOW)
        assert warning in told if warning else told is None


def test_one_that_has_not_begun():
    (found,) = certificates.read("/x.pem", pem(NOW + datetime.timedelta(9), NOW + datetime.timedelta(1)))
    assert certificates.problem(found, NOW).startswith("/x.pem: certificate 1 begins at 2026-11-30 12:00 UTC only")


def test_a_chain_is_read_whole():
    chain = pem(NOW + datetime.timedelta(50)) + pem(NOW + datetime.timedelta(5))
    assert [(one.position, one.days_left(NOW)) for one in certificates.read("/x.pem", chain)] == [(1, 50), (2, 5)]


@pytest.mark.parametrize("inside", ["", "bm9uZQ==", "!", "MAA=", "MIIC"])
def test_what_is_no_certificate(inside):
    text = f"-----BEGIN CERTIFICATE-----\n{inside}\n-----END CERTIFICATE-----\n"
    with pytest.raises(HostError, match="^/x.pem: certificate 1 cannot be read"):
        certificates.read("/x.pem", text)


def test_a_file_of_keys_has_none():
    assert certificates.read("/x.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n") == ()
