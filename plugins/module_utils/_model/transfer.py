# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Brings contents into the store: resumed, retried, in parallel, verified before they get their name."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import errno
import hashlib
import os
import threading
import time
import typing as t

from .._errors import HostError
from .._http import Fetch, Response, Unreachable, Untrusted
from .patience import Patience, limit_words, passes
from .source import LARGEST_REFUSAL, Access, DesiredFile, asking, refusal
from .store import Store

_CHUNK = 256 * 1024
_PROGRESS = 64 * 1024 * 1024  # an attempt that came so far is not a failure to count
_NOTE_S = 2.0  # how old the noted progress may be
_SEED_TIMEOUT_S = 10.0  # another host of the fleet is near, or it is not worth waiting for


@dataclasses.dataclass(frozen=True)
class Fetched:
    """A content that lies in the store now. ``received`` bytes came over the wire, or were copied."""

    sha256: str
    received: int


class _Again(Exception):
    """This attempt did not bring it all, the next one may."""

    def __init__(self, why: str, answer: Response | None = None) -> None:
        super().__init__(why)
        self.answer = answer


class _Stopped(Exception):
    """Another file failed, so this one need not go on."""


class _Seed(Access):
    """Another host's store. Its entity tags are not those of the source, and contents go by their sha256 there."""

    if_same = ""


class _Part:
    """A file on its way: what came so far, and the digest of it."""

    def __init__(self, path: str) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self.path = path
        self.file = os.fdopen(os.open(path, flags, 0o600), "r+b")
        self.digest = hashlib.sha256()
        self.length = 0
        while chunk := self.file.read(_CHUNK):
            self._count(chunk)
        self.joined = self.length > 0  # made of pieces that may not belong together
        self.received = 0

    @property
    def etag(self) -> str | None:
        """The strong entity tag that the bytes so far belong to."""
        try:
            with open(self.path + ".etag", encoding="utf-8") as file:
                return file.read() or None
        except FileNotFoundError:
            return None

    @etag.setter
    def etag(self, value: str | None) -> None:
        strong = value if value and not value.startswith("W/") else ""
        with open(self.path + ".etag", "w", encoding="utf-8") as file:
            file.write(strong)

    def write(self, chunk: bytes) -> None:
        self.file.write(chunk)
        self._count(chunk)
        self.received += len(chunk)

    def restart(self) -> None:
        self.file.seek(0)
        self.file.truncate()
        self.digest = hashlib.sha256()
        self.length = 0
        self.joined = False

    def git_sha1(self) -> str:
        """The sha1 that git gives the content. Only small files are known by it."""
        whole = hashlib.sha1(b"blob %d\0" % self.length, usedforsecurity=False)
        self.file.seek(0)
        while chunk := self.file.read(_CHUNK):
            whole.update(chunk)
        return whole.hexdigest()

    def sync(self) -> None:
        self.file.flush()
        os.fsync(self.file.fileno())

    def _count(self, chunk: bytes) -> None:
        self.digest.update(chunk)
        self.length += len(chunk)


class Transfer:
    """Fetches contents into the blobs of a store."""

    def __init__(
        self,
        store: Store,
        fetch: Fetch,
        patience: Patience,
        *,
        timeout_s: float,
        parallel: int,
        seeds: t.Sequence[str] = (),
        tell: t.Callable[[str], None] = lambda _text: None,
        clock: t.Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._fetch = fetch
        self._patience = patience
        self._timeout_s = timeout_s
        self._parallel = parallel
        self._seeds = tuple(seed.rstrip("/") for seed in seeds)
        self._tell = tell
        self._clock = clock
        self._down: set[str] = set()  # seeds that are not asked again in this run
        self._missed: dict[str, list[tuple[str, str]]] = {}  # seed -> path and reason
        self._parts: list[_Part] = []
        self._guard = threading.Lock()
        self._stop = threading.Event()

    def all(self, contents: t.Sequence[tuple[str, DesiredFile]]) -> dict[str, Fetched]:
        """Bring all of them, each with the name of its artefact for messages. The first failure stops the rest.

        What came so far is kept for the next run. Gives what was fetched by the key of the content.
        """
        if not contents:
            return {}
        with concurrent.futures.ThreadPoolExecutor(self._parallel) as pool:
            running = {pool.submit(self._one, name, desired): desired for name, desired in contents}
            try:
                while True:
                    self._note(running)
                    done, left = concurrent.futures.wait(
                        running, timeout=_NOTE_S, return_when=concurrent.futures.FIRST_EXCEPTION
                    )
                    if any(future.exception() for future in done):
                        self._stop.set()
                        break
                    if not left:
                        break
            except BaseException:
                self._stop.set()
                raise
            finally:
                self._store.drop_progress()
        for seed, missed in self._missed.items():
            others = f" and {len(missed) - 1} more" if missed[1:] else ""
            path, why = missed[0]
            self._tell(f"the seed {seed} did not bring {path}{others}, so others were asked: {why}")
        faults = [fault for fault in (future.exception() for future in running) if fault is not None]
        for fault in sorted(faults, key=lambda fault: isinstance(fault, _Stopped)):
            raise fault
        return {desired.key: future.result() for future, desired in running.items()}

    def _note(self, running: t.Mapping[concurrent.futures.Future[Fetched], DesiredFile]) -> None:
        with self._guard:
            there = sum(part.length for part in self._parts)
        total = sum(desired.size or 0 for desired in running.values())
        done = sum(future.done() for future in running)
        # Not every size is known before the file came.
        self._store.note_progress(
            {
                "at_s": self._clock(),
                "bytes": there,
                "of_bytes": max(there, total),
                "files": done,
                "of_files": len(running),
            }
        )

    def _one(self, name: str, desired: DesiredFile) -> Fetched:
        part = _Part(self._store.partial_path(desired.key))
        with self._guard:
            self._parts.append(part)
        failures = 0
        furthest = part.length
        seeds = iter(self._seeds if desired.sha256 else ())
        with contextlib.closing(part.file):
            while True:
                self._patience.before(desired.location, self._stop)
                if self._stop.is_set():
                    raise _Stopped
                try:
                    if not self._seeded(name, desired, part, seeds):
                        self._pull(name, desired, part)
                        self._verify(name, desired, part)
                    break
                except (_Again, Unreachable) as exc:
                    # What starts over does not count as progress, or it could go on for ever.
                    failures = 1 if part.length - furthest >= _PROGRESS else failures + 1
                    furthest = max(furthest, part.length)
                    part.file.flush()
                    if isinstance(exc, Untrusted) or failures > self._patience.retries:
                        raise HostError(
                            f"{name}: {desired.path} could not be fetched from {desired.shown}, tried {failures} "
                            f"times: {exc}; {part.length} bytes are kept for the next run and no version was published"
                        ) from exc
                    answer = exc.answer if isinstance(exc, _Again) else None
                    self._patience.after(desired.location, failures, name=name, answer=answer)
                except OSError as exc:
                    if exc.errno in (errno.ENOSPC, errno.EDQUOT):
                        self._store.drop_partial(desired.key)
                        raise HostError(
                            f"{name}: no space was left in {self._store.path} while {desired.path} came; "
                            f"its {part.length} bytes were deleted and no version was published"
                        ) from exc
                    raise
            part.sync()
        found = part.digest.hexdigest()
        self._store.adopt(part.path, found)
        self._store.drop_partial(desired.key)
        return Fetched(found, part.received)

    def _seeded(self, name: str, desired: DesiredFile, part: _Part, seeds: t.Iterator[str]) -> bool:
        """Whether one of these seeds has brought the content. What they did not bring is for the source to bring."""
        for seed in seeds:
            if seed in self._down:
                continue
            there = dataclasses.replace(desired, location=f"{seed}/blobs/sha256-{desired.sha256}", access=_Seed())
            try:
                self._pull(name, there, part, timeout_s=min(self._timeout_s, _SEED_TIMEOUT_S))
                if self._wrong(desired, part) and part.joined:  # what came before may be what is wrong
                    part.restart()
                    self._pull(name, there, part, timeout_s=min(self._timeout_s, _SEED_TIMEOUT_S))
                if not self._wrong(desired, part):
                    return True
                part.restart()
                why = "it sent another content"
            except (_Again, HostError) as exc:
                why = str(exc).replace(f"{name}: ", "", 1)
                if isinstance(exc, HostError) and not isinstance(exc, Unreachable):
                    with self._guard:  # it answers, and has not this one
                        self._missed.setdefault(seed, []).append((desired.path, why))
                    continue
            with self._guard:
                self._down.add(seed)
                self._missed.setdefault(seed, []).append((desired.path, why))
        return False

    def _pull(self, name: str, desired: DesiredFile, part: _Part, *, timeout_s: float | None = None) -> None:
        """One attempt: append what is missing."""
        if desired.size is not None and part.length > desired.size:
            part.restart()
        if desired.size is not None and part.length == desired.size:
            return
        if "://" not in desired.location:
            with open(desired.location, "rb") as file:
                file.seek(part.length)
                self._append(desired, part, file)
            return
        headers = {}
        if part.length:
            headers["Range"] = f"bytes={part.length}-"
            if part.etag and desired.access.if_same:
                headers[desired.access.if_same] = part.etag
        timeout_s = timeout_s or self._timeout_s
        with asking(
            self._fetch, desired.location, access=desired.access, headers=headers, timeout_s=timeout_s
        ) as answer:
            total = self._begin(name, desired, part, answer)
            self._append(desired, part, answer.body)
        if total is not None and part.length < total:
            raise _Again(f"the connection ended after {part.length} of {total} bytes")

    def _begin(self, name: str, desired: DesiredFile, part: _Part, answer: Response) -> int | None:
        """Take the answer up where the part ends, or begin again. Gives the number of bytes it must become."""
        length = answer.headers.get("content-length", "")
        if answer.status == 206:
            found = answer.headers.get("content-range", "")  # left out when what was sent is compressed
            if not found.startswith(f"bytes {part.length}-"):
                part.restart()
                raise _Again(f"it was sent {found or 'a part that cannot be told'}, which was not asked for")
            part.joined = True
        elif answer.status == 200:
            if part.length:
                part.restart()
            part.etag = answer.headers.get("etag") if desired.access.if_same else None
        elif answer.status in (412, 416) and part.length:
            part.restart()
            raise _Again("there is no such range" if answer.status == 416 else "the content is another one by now")
        elif passes(answer.status):
            raise _Again(f"the answer was {answer.status}{limit_words(answer.headers)}", answer)
        else:
            what = f"{desired.path} at {desired.shown}"
            raise refusal(answer, name=name, what=what, access=desired.access, body=answer.body.read(LARGEST_REFUSAL))
        if desired.size is not None:
            return desired.size
        return part.length + int(length) if length.isascii() and length.isdigit() else None

    def _append(self, desired: DesiredFile, part: _Part, body: t.BinaryIO) -> None:
        read = getattr(body, "read1", body.read)  # read() would lose what came before the connection breaks
        while True:
            chunk = read(_CHUNK)
            if self._stop.is_set():
                raise _Stopped
            if not chunk:
                return
            part.write(chunk)
            if desired.size is not None and part.length > desired.size:
                return

    @staticmethod
    def _wrong(desired: DesiredFile, part: _Part) -> tuple[str, str, str] | None:
        """What is not as desired: its name, what is desired and what came."""
        part.file.flush()
        if desired.size is not None and part.length != desired.size:
            return "size", str(desired.size), str(part.length)
        if desired.sha256 is not None and part.digest.hexdigest() != desired.sha256:
            return "sha256", desired.sha256, part.digest.hexdigest()
        if desired.git_sha1 is not None and (got := part.git_sha1()) != desired.git_sha1:
            return "git sha1", desired.git_sha1, got
        return None

    def _verify(self, name: str, desired: DesiredFile, part: _Part) -> None:
        """Pass the content that was asked for. A wrong one made of pieces is fetched once more as a whole."""
        found = self._wrong(desired, part)
        if found is None:
            return
        if part.joined:
            part.restart()
            raise _Again("the pieces did not fit together")
        self._store.drop_partial(desired.key)
        what, want, have = found
        raise HostError(
            f"{name}: {desired.path} should have {what} {want}, {desired.shown} sent {have}; "
            "the download was deleted and no version was published",
            desired=want,
            found=have,
        )
