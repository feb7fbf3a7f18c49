# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Artefacts of OCI registries: ModelPack, Docker's models, and whatever has names for its layers."""

from __future__ import annotations

import base64
import collections
import dataclasses
import hashlib
import json
import re
import threading
import typing as t
import urllib.parse

from .._errors import HostError
from .._http import Response, Unreachable
from .source import (
    SHA256,
    Access,
    Asking,
    DesiredFile,
    Listing,
    Questions,
    Source,
    check_path,
    chosen_version,
    refusal,
)

if t.TYPE_CHECKING:
    from .desired import DesiredArtifact

_PART = r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?P<host>[A-Za-z0-9.-]+(?::\d+)?)/(?P<repo>{_PART}(?:/{_PART})*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-fA-F]{64}))?"
)
_TAG = re.compile(r"\w[\w.-]{0,127}")
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
# A registry denies having a manifest whose type is not accepted.
MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_NAMES = ("org.cncf.model.filepath", "org.opencontainers.image.title")
# Docker's models have no names: these are what Docker's own runner calls them.
_DOCKER_NAMES = {
    "application/vnd.docker.ai.gguf.v3": ("model", ".gguf"),
    "application/vnd.docker.ai.safetensors": ("model", ".safetensors"),
    "application/vnd.docker.ai.mmproj": ("model", ".mmproj"),
    "application/vnd.docker.ai.chat.template.jinja": ("template", ".jinja"),
    "application/vnd.docker.ai.license": ("LICENSE", ""),
}
_PACKED = re.compile(r"[.+]tar\b|\+(?:gzip|zstd)$")
_LARGEST_TOKEN = 1024 * 1024


class _RegistryAccess(Access):
    """Does what a refusal asks for: a token of the server that it names, or user name and password."""

    sentences: t.ClassVar[t.Mapping[str, str]] = {
        "NAME_UNKNOWN": "is not there: {said}",
        "MANIFEST_UNKNOWN": "is not there: {said}",
        "BLOB_UNKNOWN": "is not there: {said}",
    }

    def __init__(self, source: OciSource) -> None:
        self._user = source.username
        self._token = source.token
        self._repo = source.repo
        self._plain = source.endpoint.startswith("http://")
        self._authorization = f"Bearer {source.token}" if source.token and not source.username else ""
        self._guard = threading.Lock()
        self.given = bool(source.token)
        self.denied = ("it needs username and token and none were given", "the token that was given may not read it")

    def headers(self, url: str) -> dict[str, str]:
        return {"Authorization": self._authorization} if self._authorization else {}

    def renewed(self, url: str, answer: Response, sent: t.Mapping[str, str], ask: Asking) -> str | None:
        if answer.status != 401 or answer.withheld_from:
            return None
        kind, _space, challenge = answer.headers.get("www-authenticate", "").partition(" ")
        with self._guard:
            if sent.get("Authorization", "") != self._authorization:
                return url  # another thread has asked for a token in the meantime
            found: str | None = None
            if kind.lower() == "basic" and self._user:
                found = self._basic()
            elif kind.lower() == "bearer" and (self._user or not self._token):
                found = self._bearer(dict(_CHALLENGE.findall(challenge)), ask)
            if not found or found == self._authorization:
                return None
            self._authorization = found
            return url

    def _basic(self) -> str:
        return "Basic " + base64.b64encode(f"{self._user}:{self._token}".encode()).decode()

    def _bearer(self, challenge: t.Mapping[str, str], ask: Asking) -> str | None:
        realm = urllib.parse.urlsplit(challenge.get("realm", ""))
        if realm.scheme not in ("http", "https") or not realm.hostname:
            return None
        if self._user and realm.scheme == "http" and not self._plain:
            self.denied = (self.denied[0], f"it wants them at {realm.geturl()}, and they are not sent unencrypted")
            return None
        scope = challenge.get("scope") or f"repository:{self._repo}:pull"
        query = [*urllib.parse.parse_qsl(realm.query), ("scope", scope)]
        query += [("service", challenge["service"])] if challenge.get("service") else []
        url = realm._replace(query=urllib.parse.urlencode(query)).geturl()
        server = f"{realm.scheme}://{realm.netloc}"
        with ask(url, {"Authorization": self._basic()} if self._user else {}) as answer:
            if answer.status == 429 or answer.status >= 500:
                raise Unreachable(f"{server} gives no token: the answer was {answer.status}", url=server)
            if answer.status != 200:
                said = f"{server} gives no token for it: the answer was {answer.status}"
                self.denied = (said, said)
                return None
            try:
                told = json.loads(answer.body.read(_LARGEST_TOKEN))
                token = told.get("token") or told.get("access_token")
            except (ValueError, AttributeError):
                token = None
        if not isinstance(token, str):
            raise Unreachable(f"{server} gives no token: it does not answer as a token server does", url=server)
        return f"Bearer {token}"


@dataclasses.dataclass(frozen=True)
class OciSource(Source):
    """``address`` is the repository's URL in the registry, ``revision`` the digest of a manifest."""

    FORM = "oci://registry/name[:tag][@sha256:…]"
    REVISION = "the digest of a manifest, sha256: and 64 hexadecimal digits"
    LISTS = True

    repo: str = ""
    username: str | None = None
    token: str | None = dataclasses.field(default=None, repr=False)

    @classmethod
    def parse(cls, name: str, given: t.Mapping[str, t.Any], *, endpoint: str, token: str | None) -> OciSource:
        text, revision = given["source"], given.get("revision")
        found = _REFERENCE.fullmatch(text.partition("://")[2])
        if not found:
            raise HostError(f"{name}: {text!r} is not oci://registry/name, oci://registry/name:tag or …@sha256:…")
        if given.get("username") and not given.get("token"):
            raise HostError(f"{name}: username needs token or token_file with the password that goes with it")
        pinned = (found["digest"] or "").lower()
        if revision and pinned and revision.lower() != pinned:
            raise HostError(f"{name}: the source is {pinned}, and revision is {revision}; keep one")
        revision = revision or pinned or found["tag"]
        if revision and _is_digest(revision.lower()):
            revision = revision.lower()
        elif revision and not _TAG.fullmatch(revision):
            raise HostError(f"{name}: the revision {revision!r} is neither a tag nor a digest; write {cls.REVISION}")
        host, repo = found["host"], found["repo"]
        at = (given.get("endpoint") or f"https://{host}").rstrip("/")
        if host == "docker.io" and not given.get("endpoint"):
            at = "https://registry-1.docker.io"
            repo = repo if "/" in repo else f"library/{repo}"
        return cls(
            f"oci://{host}/{found['repo']}",
            f"{at}/v2/{repo}",
            None,
            at,
            revision,
            repo,
            given.get("username"),
            given.get("token"),
        )

    @property
    def sends_secret(self) -> bool:
        return bool(self.token)

    def is_pinned(self, artifact: DesiredArtifact) -> bool:
        return bool(self.revision) and _is_digest(str(self.revision))

    def unpinned(self, artifact: DesiredArtifact, ask: Questions, listing: Listing) -> HostError:
        tag = self.revision or "latest"
        try:
            now = f"points to {_digest(self._manifest(artifact, tag, ask))} now"
        except Unreachable:
            now = f"cannot be looked up, since {self.endpoint} does not answer"
        if self.revision is None:
            return HostError(f"{artifact.name}: {self.shown} needs a digest as revision; its tag latest {now}")
        return HostError(
            f"{artifact.name}: {tag!r} of {self.shown} is a tag, which can move; it {now}: write {self.REVISION}"
        )

    def version(self, artifact: DesiredArtifact) -> str:
        return chosen_version(str(self.revision).partition(":")[2], artifact)

    def access(self, now: t.Callable[[], float]) -> Access:
        return _RegistryAccess(self)

    def locate(self, artifact: DesiredArtifact, path: str, sha256: str | None) -> str:
        return f"{self.address}/blobs/sha256:{sha256}"

    def offered(self, artifact: DesiredArtifact, ask: Questions) -> t.Iterator[DesiredFile]:
        manifest = self._parsed(artifact, str(self.revision), ask)
        if "manifests" in manifest:
            manifest = self._parsed(artifact, self._for_all_platforms(artifact, manifest["manifests"]), ask)
        layers = manifest.get("layers")
        if not isinstance(layers, list) or not all(isinstance(layer, dict) for layer in layers):
            raise HostError(
                f"{artifact.name}: {self.shown} at {self.revision} is no artefact with files: it has no layers"
            )
        for layer, path in zip(layers, _names(layers)):
            media_type, digest = str(layer.get("mediaType", "")), str(layer.get("digest", ""))
            if path is None:
                raise HostError(
                    f"{artifact.name}: {self.shown} has a layer of type {media_type!r} that has no file name; it is no "
                    "artefact of files, such as ModelPack or Docker's models"
                )
            what = f"has the digest {digest!r}, and only sha256 is known" if not _is_digest(digest) else ""
            if _PACKED.search(media_type):
                what = f"lies packed in its registry, as {media_type}; push it as it is, or leave it out with exclude"
            yield DesiredFile(
                check_path(path, f"{artifact.name}: {self.shown}"),
                "",
                sha256=digest.partition(":")[2],
                size=layer["size"] if isinstance(layer.get("size"), int) else None,
                unfit=what,
            )

    def _for_all_platforms(self, artifact: DesiredArtifact, manifests: t.Any) -> str:
        """The one manifest of an index that names no platform."""
        listed = [one for one in manifests if isinstance(one, dict)] if isinstance(manifests, list) else []
        found = [str(one.get("digest")) for one in listed if not one.get("platform")]
        if len(found) == 1 and _is_digest(found[0]):
            return found[0]
        shown = ", ".join(f"{one.get('digest')} ({_platform(one)})" for one in listed)
        raise HostError(
            f"{artifact.name}: {self.shown} at {self.revision} is an index, and {len(found)} of its {len(listed)} "
            f"manifests are for all platforms; write the digest of one as revision: {shown}"
        )

    def _parsed(self, artifact: DesiredArtifact, digest: str, ask: Questions) -> dict[str, t.Any]:
        body = self._manifest(artifact, digest, ask)
        if _digest(body) != digest:
            raise HostError(f"{artifact.name}: asked for {digest}, {self.endpoint} answered {_digest(body)}")
        try:
            manifest = json.loads(body)
        except ValueError:
            manifest = None
        if not isinstance(manifest, dict):
            raise HostError(f"{artifact.name}: {digest} of {self.shown} is no manifest")
        return manifest

    def _manifest(self, artifact: DesiredArtifact, reference: str, ask: Questions) -> bytes:
        url = f"{self.address}/manifests/{urllib.parse.quote(reference, safe=':')}"
        answer, body = ask(url, name=artifact.name, headers={"Accept": ", ".join(MANIFESTS)})
        if answer.status != 200:
            what = f"{reference} of {self.shown}"
            raise refusal(answer, name=artifact.name, what=what, access=ask.access, body=body)
        return body


def _digest(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def _is_digest(text: str) -> bool:
    algorithm, _colon, found = text.partition(":")
    return algorithm == "sha256" and bool(SHA256.fullmatch(found))


def _platform(manifest: t.Mapping[str, t.Any]) -> str:
    platform = manifest.get("platform")
    parts = (platform.get("os"), platform.get("architecture")) if isinstance(platform, dict) else ()
    return "/".join(str(part) for part in parts) or "any platform"


def _names(layers: t.Sequence[t.Mapping[str, t.Any]]) -> list[str | None]:
    """The path of each layer, None where it has none. Docker's, of which there may be several, are numbered."""
    count = collections.Counter(str(layer.get("mediaType")) for layer in layers)
    seen: collections.Counter[str] = collections.Counter()
    found: list[str | None] = []
    for layer in layers:
        annotations, media_type = layer.get("annotations") or {}, str(layer.get("mediaType"))
        named = [str(annotations[name]) for name in _NAMES if annotations.get(name)]
        seen[media_type] += 1
        if not named and media_type in _DOCKER_NAMES:
            stem, suffix = _DOCKER_NAMES[media_type]
            number = f"-{seen[media_type]:05}-of-{count[media_type]:05}" if count[media_type] > 1 else ""
            named = [f"{stem}{number}{suffix}"]
        found.append(named[0] if named else None)
    return found
