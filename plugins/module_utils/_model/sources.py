# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What a source says about an artefact: which files it has, their checksums and sizes. No model data is read here."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import json
import os
import threading
import typing as t
import urllib.parse

from .._errors import HostError
from .._http import Fetch, Response, Unreachable, Untrusted, without_query
from .patience import Patience, limit_words, passes
from .request import Named, Request, check_path, check_tree

_LARGEST_ANSWER = 64 * 1024 * 1024
# urllib's opener, with its proxies, belongs to the whole process: connections are opened one after the other.
_OPENING = threading.Lock()
_MAY_REFUSE_HEAD = (400, 403, 405, 501)  # an address signed for GET answers 403 to HEAD


@dataclasses.dataclass(frozen=True)
class Wanted:
    """One file that an artefact needs, and where it is. A hub knows large files by sha256, small ones by git's sha1."""

    path: str
    location: str
    sha256: str | None = None
    git_sha1: str | None = None
    size: int | None = None
    token: str | None = dataclasses.field(default=None, repr=False)

    @property
    def key(self) -> str:
        """The same for the same content."""
        return self.sha256 or f"git-{self.git_sha1}"

    @property
    def shown(self) -> str:
        return without_query(self.location) if "://" in self.location else self.location


def headers_for(token: str | None) -> dict[str, str]:
    """The request headers that carry the token, if there is one."""
    return {"Authorization": f"Bearer {token}"} if token else {}


@contextlib.contextmanager
def asking(fetch: Fetch, url: str, **options: t.Any) -> t.Iterator[Response]:
    """``fetch`` whose errors show no query: it may hold a signature."""
    try:
        with contextlib.ExitStack() as stack:
            with _OPENING:
                answer = stack.enter_context(fetch(url, **options))
            yield answer
    except Unreachable as exc:
        shown = without_query(url)
        raise type(exc)(str(exc).replace(url, shown), url=shown) from None


def refusal(answer: Response, *, name: str, what: str, had_token: bool) -> HostError:
    """The sentence for an answer that is not the file: ``what`` is the thing that was asked for."""
    code = answer.headers.get("x-error-code", "")
    said = f"the answer was {answer.status} {code}".rstrip()
    if answer.status in (401, 403, 404) and answer.withheld_from and had_token:
        return HostError(
            f"{name}: {what} is refused: {said}; a redirect led to {answer.withheld_from}, and the token is not sent "
            "to another host or port, or without https; if the hub has moved there, set its address as endpoint"
        )
    if code == "GatedRepo":
        return HostError(f"{name}: {what} is gated: {said}; ask for access on the hub and give a token that has it")
    if code == "RepoNotFound":
        return HostError(f"{name}: {what} is not there, or it is private: {said}")
    if code == "RevisionNotFound":
        return HostError(f"{name}: {what} does not exist at that revision: {said}; write the commit of an existing one")
    if code == "EntryNotFound" or answer.status in (404, 410):
        return HostError(f"{name}: the source has no {what}: {said}")
    if answer.status in (401, 403):
        token = "the token that was given may not read it" if had_token else "it needs a token and none was given"
        return HostError(f"{name}: {what} is refused: {said}; {token}")
    return HostError(f"{name}: {what} cannot be had: {said}{limit_words(answer.headers)}")


class Sources:
    """Asks sources, and remembers what they said: it is asked again under the lock."""

    def __init__(self, fetch: Fetch, patience: Patience, *, timeout_s: float, parallel: int) -> None:
        self._fetch = fetch
        self._patience = patience
        self._timeout_s = timeout_s
        self._parallel = parallel
        self._listed: dict[Request, tuple[Wanted, ...]] = {}
        self._checked: dict[tuple[str, Wanted], Wanted] = {}

    def pin(self, request: Request) -> None:
        """Refuse a hub revision that can move, and say the commit that it means now."""
        source = request.source
        if source is None or source.is_pinned:
            return
        branch = source.revision or "main"
        try:
            now = f"points to {self._info(request, branch)['sha']} now"
        except Unreachable:
            now = f"cannot be looked up, since {source.endpoint} does not answer"
        if source.revision is None:
            raise HostError(f"{request.name}: {source.shown} needs a commit as revision; its branch main {now}")
        raise HostError(
            f"{request.name}: the revision {branch!r} of {source.shown} is a branch or tag, which can move; "
            f"it {now}: write a commit, 40 hexadecimal digits"
        )

    def locate(self, request: Request, path: str) -> str:
        """Where one file of the artefact is."""
        source = request.origin
        quoted = urllib.parse.quote(path)
        if source.kind == "hub":
            return f"{source.endpoint}/{source.address}/resolve/{source.revision}/{quoted}"
        if source.one_file:
            return source.address
        if source.kind == "file":
            return f"{source.address}/{path}"
        parts = urllib.parse.urlsplit(source.address)
        return parts._replace(path=f"{parts.path.rstrip('/')}/{quoted}").geturl()

    def listing(self, request: Request) -> tuple[Wanted, ...]:
        """All files of the artefact. Asks the hub; the other sources have no list, the request has it."""
        if request not in self._listed:
            named = self._hub_files(request) if request.origin.kind == "hub" else map(self._as_is, request.files)
            self._listed[request] = tuple(
                dataclasses.replace(wanted, location=self.locate(request, wanted.path), token=request.origin.token)
                for wanted in named
            )
        return self._listed[request]

    def check(self, request: Request, missing: t.Sequence[Wanted]) -> tuple[Wanted, ...]:
        """See that what has to be fetched is there and may be read, and learn sizes that are not known."""
        unseen = [wanted for wanted in missing if (request.name, wanted) not in self._checked]
        if request.origin.kind == "hub":  # the list has sizes; whether they may be read is the same for all of them
            for wanted in unseen[:1]:
                self._head(request, wanted)
            self._checked.update({(request.name, wanted): wanted for wanted in unseen})
        else:
            look = self._stat if request.origin.kind == "file" else self._head
            with concurrent.futures.ThreadPoolExecutor(self._parallel) as pool:
                for wanted, seen in zip(unseen, pool.map(lambda wanted: look(request, wanted), unseen)):
                    self._checked[request.name, wanted] = seen
        return tuple(self._checked[request.name, wanted] for wanted in missing)

    @staticmethod
    def _as_is(named: Named) -> Wanted:
        return Wanted(named.path, "", named.sha256, size=named.size)

    def _info(self, request: Request, revision: str) -> dict[str, t.Any]:
        source = request.origin
        quoted = urllib.parse.quote(revision, safe="")
        url = f"{source.endpoint}/api/models/{source.address}/revision/{quoted}?blobs=true"
        answer, body = self._ask(url, name=request.name, token=source.token)
        if answer.status != 200:
            at = revision if answer.headers.get("x-error-code") == "RevisionNotFound" else source.endpoint
            what = f"{source.address} at {at}"
            raise refusal(answer, name=request.name, what=what, had_token=bool(source.token))
        try:
            info = json.loads(body)
            if not isinstance(info["sha"], str) or not isinstance(info["siblings"], list):
                raise TypeError
        except (ValueError, KeyError, TypeError):
            raise HostError(f"{request.name}: {source.endpoint} does not answer as a model hub does") from None
        return t.cast("dict[str, t.Any]", info)

    def _hub_files(self, request: Request) -> list[Wanted]:
        source = request.origin
        info = self._info(request, t.cast(str, source.revision))
        if info["sha"] != source.revision:
            raise HostError(f"{request.name}: asked for {source.revision}, {source.endpoint} answered {info['sha']}")
        offered: dict[str, Wanted] = {}
        for sibling in info["siblings"]:
            path = check_path(str(sibling.get("rfilename", "")), f"{request.name}: {source.shown}")
            large = sibling.get("lfs") or {}
            offered[path] = Wanted(
                path,
                "",
                sha256=large.get("sha256"),
                git_sha1=None if large else sibling.get("blobId"),
                size=large.get("size", sibling.get("size")),
            )
        if request.files:
            if lacking := [named.path for named in request.files if named.path not in offered]:
                raise HostError(f"{request.name}: {source.shown} at {source.revision} has no {', '.join(lacking)}")
            chosen = [self._compared(request, named, offered[named.path]) for named in request.files]
        else:
            chosen = [wanted for path, wanted in sorted(offered.items()) if request.chooses(path)]
        if not chosen:
            raise HostError(
                f"{request.name}: include and exclude leave none of the {len(offered)} files of {source.shown}"
            )
        for wanted in chosen:
            if wanted.sha256 is None and wanted.git_sha1 is None:
                raise HostError(
                    f"{request.name}: {source.endpoint} has no checksum for {wanted.path}; name it in files with sha256"
                )
        check_tree([wanted.path for wanted in chosen], f"{request.name}: {source.shown}")
        return chosen

    @staticmethod
    def _compared(request: Request, named: Named, offered: Wanted) -> Wanted:
        if named.sha256 and offered.sha256 and named.sha256 != offered.sha256:
            raise HostError(
                f"{request.name}: {named.path} should have sha256 {named.sha256}, the hub has {offered.sha256}; "
                "nothing was downloaded and no version was published"
            )
        return dataclasses.replace(offered, sha256=named.sha256 or offered.sha256)

    def _head(self, request: Request, wanted: Wanted) -> Wanted:
        answer, _body = self._ask(wanted.location, name=request.name, token=wanted.token, method="HEAD")
        size = _number(answer.headers.get("content-length"))
        if answer.status in _MAY_REFUSE_HEAD and "x-error-code" not in answer.headers:
            answer, _body = self._ask(wanted.location, name=request.name, token=wanted.token, first_byte=True)
            total = answer.headers.get("content-range", "").rpartition("/")[2]
            size = _number(total or answer.headers.get("content-length"))
        if answer.status not in (200, 206):
            what = f"{wanted.path} at {wanted.shown}"
            raise refusal(answer, name=request.name, what=what, had_token=bool(wanted.token))
        return _with_size(request, wanted, size)

    def _ask(
        self, url: str, *, name: str, token: str | None, method: str = "GET", first_byte: bool = False
    ) -> tuple[Response, bytes]:
        """A short question, asked again when the answer may pass. The body is only read when it is the answer."""
        headers = headers_for(token)
        if first_byte:
            headers["Range"] = "bytes=0-0"
        failures = 0
        while True:
            self._patience.before(url)
            passing = None
            try:
                with asking(self._fetch, url, method=method, headers=headers, timeout_s=self._timeout_s) as answer:
                    if not passes(answer.status) or failures >= self._patience.retries:
                        wants_body = method == "GET" and not first_byte
                        return answer, answer.body.read(_LARGEST_ANSWER) if wants_body else b""
                    passing = answer
            except Unreachable as exc:
                if isinstance(exc, Untrusted) or failures >= self._patience.retries:
                    raise type(exc)(f"{name}: {exc}", **exc.details) from exc
            failures += 1
            self._patience.after(url, failures, name=name, answer=passing)

    @staticmethod
    def _stat(request: Request, wanted: Wanted) -> Wanted:
        try:
            size = os.stat(wanted.location).st_size
        except OSError as exc:
            raise HostError(f"{request.name}: {wanted.location} cannot be read: {exc.strerror}") from exc
        return _with_size(request, wanted, size)


def _with_size(request: Request, wanted: Wanted, size: int | None) -> Wanted:
    if size is not None and wanted.size is not None and size != wanted.size:
        raise HostError(
            f"{request.name}: {wanted.path} should have {wanted.size} bytes, {wanted.shown} has {size}; "
            "nothing was downloaded and no version was published"
        )
    return dataclasses.replace(wanted, size=wanted.size if size is None else size)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() else None
