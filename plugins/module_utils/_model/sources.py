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
from .desired import DesiredArtifact, Named, check_path, check_tree
from .patience import Patience, limit_words, passes

_LARGEST_ANSWER = 64 * 1024 * 1024
# urllib's opener, with its proxies, belongs to the whole process: connections are opened one after the other.
_OPENING = threading.Lock()
_MAY_REFUSE_HEAD = (400, 403, 405, 501)  # HEAD of an address signed for GET is refused with 403


@dataclasses.dataclass(frozen=True)
class DesiredFile:
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
        self._listed: dict[DesiredArtifact, tuple[DesiredFile, ...]] = {}
        self._checked: dict[tuple[str, DesiredFile], DesiredFile] = {}

    def pin(self, artifact: DesiredArtifact) -> None:
        """Refuse a hub revision that can move, and say the commit that it means now."""
        source = artifact.source
        if source is None or source.is_pinned:
            return
        branch = source.revision or "main"
        try:
            now = f"points to {self._info(artifact, branch)['sha']} now"
        except Unreachable:
            now = f"cannot be looked up, since {source.endpoint} does not answer"
        if source.revision is None:
            raise HostError(f"{artifact.name}: {source.shown} needs a commit as revision; its branch main {now}")
        raise HostError(
            f"{artifact.name}: the revision {branch!r} of {source.shown} is a branch or tag, which can move; "
            f"it {now}: write a commit, 40 hexadecimal digits"
        )

    def locate(self, artifact: DesiredArtifact, path: str) -> str:
        """Where one file of the artefact is."""
        source = artifact.origin
        quoted = urllib.parse.quote(path)
        if source.kind == "hub":
            return f"{source.endpoint}/{source.address}/resolve/{source.revision}/{quoted}"
        if source.one_file:
            return source.address
        if source.kind == "file":
            return f"{source.address}/{path}"
        parts = urllib.parse.urlsplit(source.address)
        return parts._replace(path=f"{parts.path.rstrip('/')}/{quoted}").geturl()

    def listing(self, artifact: DesiredArtifact) -> tuple[DesiredFile, ...]:
        """All files of the artefact. Asks the hub; the other sources have no list, and the options have it."""
        if artifact not in self._listed:
            named = self._hub_files(artifact) if artifact.origin.kind == "hub" else map(self._as_is, artifact.files)
            self._listed[artifact] = tuple(
                dataclasses.replace(desired, location=self.locate(artifact, desired.path), token=artifact.origin.token)
                for desired in named
            )
        return self._listed[artifact]

    def check(self, artifact: DesiredArtifact, missing: t.Sequence[DesiredFile]) -> tuple[DesiredFile, ...]:
        """See that what has to be fetched is there and may be read, and learn sizes that are not known."""
        unseen = [desired for desired in missing if (artifact.name, desired) not in self._checked]
        if artifact.origin.kind == "hub":  # the list has sizes; whether they may be read is the same for all of them
            for desired in unseen[:1]:
                self._head(artifact, desired)
            self._checked.update({(artifact.name, desired): desired for desired in unseen})
        else:
            read_size = self._stat if artifact.origin.kind == "file" else self._head
            with concurrent.futures.ThreadPoolExecutor(self._parallel) as pool:
                for desired, seen in zip(unseen, pool.map(lambda desired: read_size(artifact, desired), unseen)):
                    self._checked[artifact.name, desired] = seen
        return tuple(self._checked[artifact.name, desired] for desired in missing)

    @staticmethod
    def _as_is(named: Named) -> DesiredFile:
        return DesiredFile(named.path, "", named.sha256, size=named.size)

    def _info(self, artifact: DesiredArtifact, revision: str) -> dict[str, t.Any]:
        source = artifact.origin
        quoted = urllib.parse.quote(revision, safe="")
        url = f"{source.endpoint}/api/models/{source.address}/revision/{quoted}?blobs=true"
        answer, body = self._ask(url, name=artifact.name, token=source.token)
        if answer.status != 200:
            at = revision if answer.headers.get("x-error-code") == "RevisionNotFound" else source.endpoint
            what = f"{source.address} at {at}"
            raise refusal(answer, name=artifact.name, what=what, had_token=bool(source.token))
        try:
            info = json.loads(body)
            if not isinstance(info["sha"], str) or not isinstance(info["siblings"], list):
                raise TypeError
        except (ValueError, KeyError, TypeError):
            raise HostError(f"{artifact.name}: {source.endpoint} does not answer as a model hub does") from None
        return t.cast("dict[str, t.Any]", info)

    def _hub_files(self, artifact: DesiredArtifact) -> list[DesiredFile]:
        source = artifact.origin
        info = self._info(artifact, t.cast(str, source.revision))
        if info["sha"] != source.revision:
            raise HostError(f"{artifact.name}: asked for {source.revision}, {source.endpoint} answered {info['sha']}")
        offered: dict[str, DesiredFile] = {}
        for sibling in info["siblings"]:
            path = check_path(str(sibling.get("rfilename", "")), f"{artifact.name}: {source.shown}")
            large = sibling.get("lfs") or {}
            offered[path] = DesiredFile(
                path,
                "",
                sha256=large.get("sha256"),
                git_sha1=None if large else sibling.get("blobId"),
                size=large.get("size", sibling.get("size")),
            )
        if artifact.files:
            if lacking := [named.path for named in artifact.files if named.path not in offered]:
                raise HostError(f"{artifact.name}: {source.shown} at {source.revision} has no {', '.join(lacking)}")
            chosen = [self._compared(artifact, named, offered[named.path]) for named in artifact.files]
        else:
            chosen = [desired for path, desired in sorted(offered.items()) if artifact.chooses(path)]
        if not chosen:
            raise HostError(
                f"{artifact.name}: include and exclude leave none of the {len(offered)} files of {source.shown}"
            )
        for desired in chosen:
            if desired.sha256 is None and desired.git_sha1 is None:
                raise HostError(
                    f"{artifact.name}: {source.endpoint} has no checksum for {desired.path}; "
                    "name it in files with sha256"
                )
        check_tree([desired.path for desired in chosen], f"{artifact.name}: {source.shown}")
        return chosen

    @staticmethod
    def _compared(artifact: DesiredArtifact, named: Named, offered: DesiredFile) -> DesiredFile:
        if named.sha256 and offered.sha256 and named.sha256 != offered.sha256:
            raise HostError(
                f"{artifact.name}: {named.path} should have sha256 {named.sha256}, the hub has {offered.sha256}; "
                "nothing was downloaded and no version was published"
            )
        return dataclasses.replace(offered, sha256=named.sha256 or offered.sha256)

    def _head(self, artifact: DesiredArtifact, desired: DesiredFile) -> DesiredFile:
        answer, _body = self._ask(desired.location, name=artifact.name, token=desired.token, method="HEAD")
        size = _number(answer.headers.get("content-length"))
        if answer.status in _MAY_REFUSE_HEAD and "x-error-code" not in answer.headers:
            answer, _body = self._ask(desired.location, name=artifact.name, token=desired.token, first_byte=True)
            total = answer.headers.get("content-range", "").rpartition("/")[2]
            size = _number(total or answer.headers.get("content-length"))
        if answer.status not in (200, 206):
            what = f"{desired.path} at {desired.shown}"
            raise refusal(answer, name=artifact.name, what=what, had_token=bool(desired.token))
        return _with_size(artifact, desired, size)

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
    def _stat(artifact: DesiredArtifact, desired: DesiredFile) -> DesiredFile:
        try:
            size = os.stat(desired.location).st_size
        except OSError as exc:
            raise HostError(f"{artifact.name}: {desired.location} cannot be read: {exc.strerror}") from exc
        return _with_size(artifact, desired, size)


def _with_size(artifact: DesiredArtifact, desired: DesiredFile, size: int | None) -> DesiredFile:
    if size is not None and desired.size is not None and size != desired.size:
        raise HostError(
            f"{artifact.name}: {desired.path} should have {desired.size} bytes, {desired.shown} has {size}; "
            "nothing was downloaded and no version was published"
        )
    return dataclasses.replace(desired, size=desired.size if size is None else size)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() else None
