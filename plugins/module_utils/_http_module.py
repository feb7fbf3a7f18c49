# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""HTTP connections as Ansible itself opens them.

Apart from _http_plain.py, because Ansible sends what a module could import to the host each time that it runs there.
"""

from __future__ import annotations

import contextlib
import typing as t
import urllib.parse

from ._http import Response, Sign
from ._http_plain import LOOPBACK, following


class ModuleFetch:
    """A Fetch over Ansible's ``open_url``: proxies from the environment, except to this host, certificates verified.

    ``ca_path`` names a PEM file to trust instead of the host's own store.
    """

    def __init__(self, *, ca_path: str | None = None) -> None:
        self._ca_path = ca_path

    def __call__(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: t.Mapping[str, str] | None = None,
        data: bytes | None = None,
        timeout_s: float = 30,
        sign: Sign | None = None,
    ) -> contextlib.AbstractContextManager[Response]:
        from ansible.module_utils.urls import open_url  # the core must import without Ansible

        def send(at: str, given: t.Mapping[str, str]) -> t.Any:
            return open_url(
                at,
                method=method,
                headers=dict(given),
                data=data,
                timeout=timeout_s,
                ca_path=self._ca_path,
                # A proxy in a host's environment seldom comes with the no_proxy that would keep loopback out of it.
                use_proxy=urllib.parse.urlsplit(at).hostname not in LOOPBACK,
                # open_url lets an entry in ~/.netrc win over the header; where a redirect leads, it is not asked for.
                use_netrc=at == url and not any(name.lower() == "authorization" for name in given),
                http_agent="mlops.hosts",
                follow_redirects="none",
                decompress=False,  # its headers would still be those of the compressed bytes
            )

        return following(send, url, method=method, headers=headers, sign=sign)
