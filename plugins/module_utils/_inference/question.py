# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""A question to a model server."""

from __future__ import annotations

import dataclasses
import json
import re
import typing as t
import urllib.parse

from .._errors import HostError

# A line of a key file, and what can be sent in a header. Servers take a line with # for a comment.
KEY = re.compile(r'[!"$-~][!-~]*')


Kind = t.Literal["completion", "embedding", "tensor"]


@dataclasses.dataclass(frozen=True)
class Question:
    """What to ask. ``url`` ends before ``/v1``; without ``model``, the first one that the server lists is asked.

    ``kind``: for text, which ``max_tokens``, ``expect`` and the limits are of, for the vector of the prompt, or for
    what the model infers. ``inputs``: its inputs that are not to be zeros, each with ``name``, ``data`` and ``shape``.
    ``expectation``: of the answer, with its ``text`` and its ``tree`` as the module expectation has it.
    ``closed_paths``: where a request without the key, and one with a wrong key, must be refused; None is the path that
    answered. Without a key, nothing must be.
    """

    url: str
    kind: Kind = "completion"
    model: str | None = None
    prompt: str = "Hello"
    max_tokens: int = 8
    api_key: str | None = dataclasses.field(default=None, repr=False)
    expect: str | None = None
    closed_paths: tuple[str, ...] | None = None
    inputs: tuple[t.Mapping[str, t.Any], ...] = ()
    max_ttft_s: float | None = None
    min_tokens_per_s: float | None = None
    expectation: t.Mapping[str, t.Any] | None = None

    def __post_init__(self) -> None:
        try:
            parts = urllib.parse.urlsplit(self.url)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable or re.search(r"[\s\x00-\x1f\x7f]", self.url):
            raise HostError("the address of the server must be a URL such as http://127.0.0.1:8001")
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise HostError("the address of the server must not hold a user name, a password, a query or a fragment")
        if parts.path.rstrip("/").endswith("/v1"):
            raise HostError(f"the address of the server must end before /v1, which is added to it: {self.url}")
        if self.kind != "completion" and {self.expect, self.max_ttft_s, self.min_tokens_per_s} != {None}:
            raise HostError(f"text and speed can be expected of a completion, and not of a question for {self.kind}")
        if self.inputs and self.kind != "tensor":
            raise HostError(f"inputs are those of tensors, and not of a question for {self.kind}")
        if self.expectation is not None and not isinstance(self.expectation, dict):
            raise HostError("an expectation is parsed by the action plugin; call the module by its full name")
        if self.max_tokens < 1:
            raise HostError(f"at least one token must be asked for, not {self.max_tokens}")
        if self.api_key and not re.fullmatch(r"[!-~]+", self.api_key):
            raise HostError("the API key must be printable ASCII without blanks: it is sent in a header")

    @property
    def where(self) -> str:
        """The port in words, with the host unless it is this one."""
        parts = urllib.parse.urlsplit(self.url)
        port = f"port {parts.port or {'http': 80, 'https': 443}[parts.scheme]}"
        return port if parts.hostname in ("127.0.0.1", "localhost", "::1") else f"{port} of {parts.hostname}"

    def redacted(self, text: str) -> str:
        """Without the key: servers repeat it in what they say and log. To be done before a text is cut."""
        if self.api_key:
            for form in (self.api_key, json.dumps(self.api_key)[1:-1], repr(self.api_key)[1:-1]):
                text = text.replace(form, "***")
        return text


def read_api_key(path: str) -> str:
    """The first usable key of a file with one a line. Blanks at the ends of a line would be part of the key."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            lines = file.read().split("\n")
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8"
        raise HostError(f"the file with the API key, {path}, cannot be read: {reason}", path=path) from None
    for line in lines:
        if KEY.fullmatch(line):
            return line
    raise HostError(
        f"the file with the API key, {path}, holds no usable key; write it as a line of printable ASCII that holds no "
        "blank and no carriage return and does not begin with #",
        path=path,
    )
