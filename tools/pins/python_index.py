# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the package indexes of this machine's pip serve of a name, asked as pip asks them: with its indexes, folders and
certificates, which no file of this repository names.

pip has no command that tells hashes without downloading, and uv does not read pip's configuration; so this imports from
pip what ``pip index versions`` is made of, which may move between its releases.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import threading
import typing as t
from collections.abc import Iterator

from pip._internal.commands import create_command
from pip._internal.exceptions import NetworkConnectionError, PipError
from pip._internal.index.collector import LinkCollector, _get_simple_response, _make_index_content, parse_links
from pip._internal.models.link import Link
from pip._vendor.packaging.utils import canonicalize_name, parse_sdist_filename, parse_wheel_filename
from pip._vendor.packaging.version import InvalidVersion, Version
from pip._vendor.requests.exceptions import RequestException

from tools.pins.answers import Unreachable

# pip tells of every index that is a folder without the package.
logging.getLogger("pip").setLevel(logging.ERROR)


@dataclasses.dataclass(frozen=True)
class File:
    """Of a release. ``sha256`` is empty where the index has none; ``yanked`` is the reason, which may be empty."""

    version: str
    sha256: str
    yanked: str | None = None


def same_version(one: str, other: str) -> bool:
    try:
        return Version(one) == Version(other)
    except InvalidVersion:
        return one == other


class Index:
    """A thread has a connection of its own: pip's sessions are for one."""

    def __init__(self) -> None:
        self._local = threading.local()

    def files(self, name: str) -> list[File]:
        """Of all versions. Unreachable where an index did not answer."""
        found: list[File] = []
        for link in self._links(name):
            if version := _version(link, name):
                found.append(File(version, _sha256(link), link.yanked_reason))
        return found

    def _links(self, name: str) -> Iterator[Link]:
        collector = self._collector()
        pages: list[Link] = []

        def keep(page: Link) -> tuple[()]:
            pages.append(page)
            return ()

        sources = collector.collect_sources(name, candidates_from_page=keep)
        for source in (*sources.find_links, *sources.index_urls):
            if source:
                list(source.page_candidates())
                yield from source.file_links()
        for page in pages:
            yield from self._page(collector, page)

    def _page(self, collector: LinkCollector, page: Link) -> list[Link]:
        if page.scheme == "file":
            content = collector.fetch_response(page)
            return list(parse_links(content)) if content else []
        try:
            return list(parse_links(_make_index_content(_get_simple_response(page.url, session=collector.session))))
        except NetworkConnectionError as error:
            if error.response is not None and error.response.status_code == 404:
                return []
            raise Unreachable("a package index", str(error)) from error
        except (RequestException, PipError) as error:
            raise Unreachable("a package index", type(error).__name__) from error

    def _collector(self) -> LinkCollector:
        if not hasattr(self._local, "collector"):
            command: t.Any = create_command("download")
            options, _ = command.parse_args([])
            self._local.collector = LinkCollector.create(command._build_session(options), options=options)
        return t.cast(LinkCollector, self._local.collector)


def _version(link: Link, name: str) -> str | None:
    """None of a file that is no wheel or sdist of this package."""
    try:
        found = parse_wheel_filename(link.filename) if link.is_wheel else parse_sdist_filename(link.filename)
    except ValueError:
        return None
    return str(found[1]) if found[0] == canonicalize_name(name) else None


def _sha256(link: Link) -> str:
    if link.hash_name == "sha256":
        return link.hash or ""
    if link.scheme == "file":
        with open(link.file_path, "rb") as file:
            digest = hashlib.sha256()
            while chunk := file.read(1 << 20):
                digest.update(chunk)
        return digest.hexdigest()
    return ""
