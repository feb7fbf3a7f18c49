# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links of a site that lead nowhere in it. Those to other sites are not followed."""

from __future__ import annotations

import html.parser
import posixpath
import typing as t
import urllib.parse
from pathlib import Path


class _Page(html.parser.HTMLParser):
    """What a page links to, and the places in it that can be linked to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.links.append(value)
            elif (name == "id" or (tag == "a" and name == "name")) and value:
                self.places.add(value)


def broken(site: Path) -> t.Iterator[str]:
    """Each in a sentence."""
    found = {path.relative_to(site).as_posix(): _Page(path.read_text()) for path in sorted(site.rglob("*.html"))}
    for name, page in found.items():
        for link in dict.fromkeys(page.links):
            url = urllib.parse.urlsplit(link)
            if url.scheme or url.netloc:
                continue
            path = urllib.parse.unquote(url.path)
            target = posixpath.normpath(posixpath.join(posixpath.dirname(name), path)) if path else name
            fragment = urllib.parse.unquote(url.fragment)
            if target not in found and not (site / target).is_file():
                yield f"{name} links {link}, and there is no {target}"
            elif fragment and target in found and fragment not in found[target].places:
                yield f"{name} links {link}, and {target} has no such place"
