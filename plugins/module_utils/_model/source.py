# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What every kind of source has in common. Each kind is a file of its own, listed in kinds.py."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import hashlib
import json
import re
import threading
import typing as t
import urllib.parse

from .._errors import HostError
from .._http import Fetch, Response, Sign, Unreachable, Untrusted, without_query
from .patience import Patience, limit_words, passes

if t.TYPE_CHECKING:
    from .desired import DesiredArtifact

SHA256 = re.compile(r"[0-9a-f]{64}")
LARGEST_ANSWER = 64 * 1024 * 1024
LARGEST_REFUSAL = 64 * 1024
# urllib's opener, with its proxies, belongs to the whole process: connections are opened one after the other.
_OPENING = threading.Lock()
_MAY_REFUSE_HEAD = (400, 403, 405, 501)  # HEAD of an address signed for GET is refused with 403
_CODE = re.compile(rb'<Code>(\w{1,60})</Code>|"code"\s*:\s*"(\w{1,60})"')  # as object stores and registries say it


class Access:
    """How the server of a source is asked, and by whom. This one is asked by nobody in particular."""

    given = False  # whether something secret goes along
    if_same = "If-Range"  # the header that says which content the rest is asked of
    denied = (
        "it needs a token and none was given",
        "the token that was given may not read it",
    )  # by whether it is given
    sentences: t.ClassVar[t.Mapping[str, str]] = {}  # what the codes of its refusals mean, after the name of the thing

    def headers(self, url: str) -> dict[str, str]:
        """Headers of a request. A redirect passes ``Authorization`` on as ``same_recipient`` says."""
        return {}

    def sign(self, method: str) -> Sign | None:
        """What makes the headers that are for one address only, where there are such."""
        return None

    def renewed(self, url: str, answer: Response, sent: t.Mapping[str, str], ask: Asking) -> str | None:
        """The address to ask once more at once, where an answer says how to ask better. None when it is the answer."""
        return None


class Bearer(Access):
    """A token that is sent as it is."""

    def __init__(self, token: str | None) -> None:
        self._token = token
        self.given = bool(token)

    def headers(self, url: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}


NOBODY = Access()


@dataclasses.dataclass(frozen=True)
class Named:
    """A file that the user names, with what it must be."""

    path: str
    sha256: str | None = None
    size: int | None = None
    version_id: str | None = None


@dataclasses.dataclass(frozen=True)
class DesiredFile:
    """One file that an artefact needs, and where it is. A hub knows large files by sha256, small ones by git's sha1.

    ``unfit`` says why it cannot be taken, where that is known of its source.
    """

    path: str
    location: str
    sha256: str | None = None
    git_sha1: str | None = None
    size: int | None = None
    access: Access = dataclasses.field(default=NOBODY, repr=False, compare=False)
    unfit: str = ""

    @property
    def key(self) -> str:
        """The same for the same content."""
        return self.sha256 or f"git-{self.git_sha1}"

    @property
    def shown(self) -> str:
        return without_query(self.location) if "://" in self.location else self.location


@dataclasses.dataclass(frozen=True)
class Source:
    """Where an artefact comes from. ``file`` is the path of the one file that it is, None when it is a folder.

    ``shown`` is for people and records; what may hold a signature is left out. ``endpoint`` is the address that is
    asked, empty for the host itself.
    """

    FORM: t.ClassVar[str]  # how a user writes it
    REVISION: t.ClassVar[str] = ""  # what a revision that cannot move is
    LISTS: t.ClassVar[bool] = False  # whether it says itself which files it has

    shown: str
    address: str
    file: str | None = None
    endpoint: str = ""
    revision: str | None = None

    @classmethod
    def parse(cls, name: str, given: t.Mapping[str, t.Any], *, endpoint: str, token: str | None) -> Source:
        """Check the options of an artefact. ``endpoint`` and ``token`` are those of the hub."""
        raise NotImplementedError

    @property
    def sends_secret(self) -> bool:
        """Whether something goes along that whoever sees it could use."""
        return False

    @property
    def exposes_secret(self) -> bool:
        """Whether it would cross a network unencrypted."""
        parts = urllib.parse.urlsplit(self.endpoint)
        return self.sends_secret and parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "::1", "localhost")

    def is_pinned(self, artifact: DesiredArtifact) -> bool:
        """Whether what is desired cannot move. It is so where all checksums are named."""
        return True

    def unpinned(self, artifact: DesiredArtifact, ask: Questions, listing: Listing) -> HostError:
        """Why it is not pinned, with the revision that it has now. ``listing`` gives the files that are chosen now."""
        raise NotImplementedError

    def version(self, artifact: DesiredArtifact) -> str:
        """The name of the version, known without asking anyone."""
        return digest(sorted([named.path, named.sha256] for named in artifact.files))[:16]

    def access(self, now: t.Callable[[], float]) -> Access:
        """How it is asked. ``now`` gives the Unix time."""
        return NOBODY

    def locate(self, artifact: DesiredArtifact, path: str, sha256: str | None) -> str:
        """Where one file of the artefact is: a URL, or a path on the host."""
        raise NotImplementedError

    def offered(self, artifact: DesiredArtifact, ask: Questions) -> t.Iterable[DesiredFile]:
        """All files that the source has, without their location. Only asked where LISTS."""
        raise NotImplementedError

    def completed(
        self, artifact: DesiredArtifact, chosen: t.Sequence[DesiredFile], ask: Questions
    ) -> t.Sequence[DesiredFile]:
        """What was chosen of a list, with all that the list did not say."""
        return chosen

    def probed(self, artifact: DesiredArtifact, missing: t.Sequence[DesiredFile]) -> t.Sequence[DesiredFile]:
        """Those that must be asked for before they are fetched: a list has sizes, and may be read or not as a whole."""
        return missing[:1] if self.LISTS else missing

    def probe(self, artifact: DesiredArtifact, desired: DesiredFile, ask: Questions) -> DesiredFile:
        """See that a file is there and may be read, and learn its size."""
        return with_size(artifact.name, desired, ask.head(desired, name=artifact.name)[1])


def as_named(named: Named) -> DesiredFile:
    return DesiredFile(named.path, "", named.sha256, size=named.size)


def digest(value: t.Any) -> str:
    """sha256 of a value as JSON."""
    return hashlib.sha256(json.dumps(value, separators=(",", ":")).encode()).hexdigest()


def chosen_version(revision: str, artifact: DesiredArtifact) -> str:
    """The revision, with a digest of the choice of files where there is one."""
    paths = sorted(named.path for named in artifact.files)
    if not (paths or artifact.include or artifact.exclude):
        return revision
    return f"{revision}-{digest([paths, sorted(artifact.include), sorted(artifact.exclude)])[:8]}"


def check_path(path: str, what: str) -> str:
    """A relative path that stays below its folder, or an error that says whose it is."""
    parts = path.split("/")
    odd = any(ord(char) < 32 or ord(char) == 127 for char in path) or "\\" in path
    if odd or any(part in ("", ".", "..") for part in parts) or parts[0].startswith(".mlops-") or len(path) > 1024:
        raise HostError(
            f"{what} names the file {path!r}, which would not stay inside the artefact; nothing was changed"
        )
    return path


def check_steps(path: str, what: str, *, empty: bool = False) -> None:
    """HostError when a part of an address is a step elsewhere, which servers and what is between take differently.
    ``empty``: whether two slashes may follow each other."""
    for part in path.split("/"):
        if part in (".", "..") or not (part or empty):
            found = f"{part!r} between its slashes" if part else "nothing between two of its slashes"
            raise HostError(f"{what} has {found}; write the path that is meant")


def with_size(name: str, desired: DesiredFile, size: int | None) -> DesiredFile:
    """The file with the size that its source says. HostError when another one is desired."""
    if size is not None and desired.size is not None and size != desired.size:
        raise HostError(
            f"{name}: {desired.path} should have {desired.size} bytes, {desired.shown} has {size}; "
            "nothing was downloaded and no version was published"
        )
    return dataclasses.replace(desired, size=desired.size if size is None else size)


Listing = t.Callable[[], t.Sequence[DesiredFile]]
Asking = t.Callable[..., "contextlib.AbstractContextManager[Response]"]


@contextlib.contextmanager
def asking(
    fetch: Fetch,
    url: str,
    *,
    access: Access = NOBODY,
    method: str = "GET",
    headers: t.Mapping[str, str] | None = None,
    timeout_s: float,
) -> t.Iterator[Response]:
    """``fetch`` by someone, and once more where the answer says how to ask. Errors show no query: it may be signed."""
    at = url

    def ask(other: str, given: t.Mapping[str, str]) -> contextlib.AbstractContextManager[Response]:
        return asking(fetch, other, headers=given, timeout_s=timeout_s)

    try:
        for last in (False, True):
            with contextlib.ExitStack() as stack:
                sent = {**(headers or {}), **access.headers(at)}
                with _OPENING:
                    answer = stack.enter_context(
                        fetch(at, method=method, headers=sent, timeout_s=timeout_s, sign=access.sign(method))
                    )
                better = None if last else access.renewed(at, answer, sent, ask)
                if better is None:
                    yield answer
                    return
                at = better
    except Unreachable as exc:
        shown = without_query(at)
        raise type(exc)(str(exc).replace(at, shown), url=shown) from None


def refusal(answer: Response, *, name: str, what: str, access: Access, body: bytes = b"") -> HostError:
    """The sentence for an answer that is not the file: ``what`` is the thing that was asked for."""
    found = _CODE.search(body)
    code = answer.headers.get("x-error-code") or (found and (found[1] or found[2]).decode()) or ""
    said = f"the answer was {answer.status} {code}".rstrip()
    if answer.status in (401, 403, 404) and answer.withheld_from and access.given:
        return HostError(
            f"{name}: {what} is refused: {said}; a redirect led to {answer.withheld_from}, and the token is not sent "
            "to another host or port, or without https; if the hub has moved there, set its address as endpoint"
        )
    if code in access.sentences:
        return HostError(f"{name}: {what} {access.sentences[code].format(said=said)}")
    if answer.status in (404, 410):
        return HostError(f"{name}: the source has no {what}: {said}")
    if answer.status in (401, 403):
        return HostError(f"{name}: {what} is refused: {said}; {access.denied[access.given]}")
    return HostError(f"{name}: {what} cannot be had: {said}{limit_words(answer.headers)}")


class Questions:
    """Short questions to one source, asked again when the answer may pass."""

    def __init__(self, fetch: Fetch, patience: Patience, access: Access, *, timeout_s: float, parallel: int) -> None:
        self._fetch = fetch
        self._patience = patience
        self.access = access
        self._timeout_s = timeout_s
        self._parallel = parallel

    def each(
        self, function: t.Callable[[DesiredFile], DesiredFile], files: t.Iterable[DesiredFile]
    ) -> list[DesiredFile]:
        """The function of each file, several at once."""
        with concurrent.futures.ThreadPoolExecutor(self._parallel) as pool:
            return list(pool.map(function, files))

    def __call__(
        self, url: str, *, name: str, method: str = "GET", headers: t.Mapping[str, str] | None = None
    ) -> tuple[Response, bytes]:
        """The answer and its body; of a file that was asked for in part, the body is not read."""
        failures = 0
        while True:
            self._patience.before(url)
            passing = None
            try:
                with asking(
                    self._fetch, url, access=self.access, method=method, headers=headers, timeout_s=self._timeout_s
                ) as answer:
                    if not passes(answer.status) or failures >= self._patience.retries:
                        if answer.status >= 300:
                            return answer, answer.body.read(LARGEST_REFUSAL)
                        wants_body = method == "GET" and "Range" not in (headers or {})
                        return answer, answer.body.read(LARGEST_ANSWER) if wants_body else b""
                    passing = answer
            except Unreachable as exc:
                if isinstance(exc, Untrusted) or failures >= self._patience.retries:
                    raise type(exc)(f"{name}: {exc}", **exc.details) from exc
            failures += 1
            self._patience.after(url, failures, name=name, answer=passing)

    def head(self, desired: DesiredFile, *, name: str) -> tuple[Response, int | None]:
        """What the source says of a file without sending it, and its size. HostError when it may not be read."""
        answer, body = self(desired.location, name=name, method="HEAD")
        size = number(answer.headers.get("content-length"))
        if answer.status in _MAY_REFUSE_HEAD and "x-error-code" not in answer.headers:
            answer, body = self(desired.location, name=name, headers={"Range": "bytes=0-0"})
            total = answer.headers.get("content-range", "").rpartition("/")[2]
            size = number(total or answer.headers.get("content-length"))
        if answer.status not in (200, 206):
            what = f"{desired.path} at {desired.shown}"
            raise refusal(answer, name=name, what=what, access=self.access, body=body)
        return answer, size


def number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() else None
