# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Buckets of any store that speaks S3.

The ETag of an object is no checksum of it: it depends on the parts in which it was uploaded. What counts is the sha256
that the store computed of the whole object, or that of the options.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import re
import typing as t
import urllib.parse

from .._errors import HostError
from .._http import Response, Sign
from .sigv4 import Credentials, signed_headers
from .source import (
    SHA256,
    Access,
    Asking,
    DesiredFile,
    Listing,
    Questions,
    Source,
    as_named,
    check_path,
    check_steps,
    digest,
    number,
    refusal,
    with_size,
)

if t.TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from .desired import DesiredArtifact

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_REGION = re.compile(r"[a-z0-9-]{1,40}")
# s3.eu-central-1.amazonaws.com, s3-us-west-2.amazonaws.com, bucket.s3.dualstack.us-east-1.amazonaws.com, but not the
# hosts of websites, where owners of buckets make redirects.
_AWS = re.compile(
    r"(?P<bucket>(?:.+\.)?)s3(?:[.-](?!website)(?:dualstack\.)?(?P<region>[a-z]{2}(?:-[a-z]+)+-\d))?"
    r"\.amazonaws\.com(?P<china>(?:\.cn)?)"
)
_MOST_PAGES = 10_000


class _S3Access(Access):
    """Signs each address of the store anew, and none of another server."""

    if_same = "If-Match"  # stores of S3 do not know If-Range
    denied = ("it needs credentials and none were given", "the credentials that were given may not read it")
    sentences: t.ClassVar[t.Mapping[str, str]] = {
        "AccessDenied": "is refused: {said}; it needs credentials that may read it, and list the bucket",
        "NoSuchBucket": "is not there: {said}",
        "NoSuchKey": "is not there: {said}",
        "NoSuchVersion": "is not there in that version: {said}",
        "InvalidAccessKeyId": "is refused: {said}; the store does not know the access key",
        "SignatureDoesNotMatch": "is refused: {said}; the secret key is not that of the access key",
        "ExpiredToken": "is refused: {said}; the session token has expired",
        "InvalidToken": "is refused: {said}; the session token is not right",
        "RequestTimeTooSkewed": "is refused: {said}; the clock of this host is wrong",
        "AuthorizationHeaderMalformed": "is refused: {said}; set s3.region to that of the bucket",
        "PermanentRedirect": "is elsewhere: {said}; set s3.region and endpoint to those of the bucket",
        "InvalidObjectState": "is archived: {said}; restore it first",
    }

    def __init__(self, source: S3Source, now: t.Callable[[], float]) -> None:
        self._credentials = source.credentials
        self._endpoint = source.endpoint
        self._region = source.region
        self._now = now
        self.given = source.credentials is not None

    def sign(self, method: str) -> Sign:
        headers = {"X-Amz-Checksum-Mode": "ENABLED"}

        def sign(url: str) -> t.Mapping[str, str] | None:
            if not self._is_of_the_store(url):
                return None
            if self._credentials is None:
                return headers
            region = self._region_of(url)
            return {
                **headers,
                **signed_headers(method, url, headers, self._credentials, region=region, now=self._now()),
            }

        return sign

    def renewed(self, url: str, answer: Response, sent: t.Mapping[str, str], ask: Asking) -> str | None:
        """A store says the region of a bucket when it is asked for it by way of another region."""
        region = answer.headers.get("x-amz-bucket-region", "")
        if answer.status not in (301, 400, 403) or answer.withheld_from or not _REGION.fullmatch(region):
            return None
        if region == self._region_of(url):
            return None
        self._region = region
        parts = urllib.parse.urlsplit(url)
        aws = _AWS.fullmatch(parts.hostname or "")
        if not aws:
            return url
        return parts._replace(netloc=f"{aws['bucket']}s3.{region}.amazonaws.com{aws['china']}").geturl()

    def _is_of_the_store(self, url: str) -> bool:
        """Whether what is signed with our key may be sent there: to the endpoint, its buckets, other regions of AWS."""
        own, other = urllib.parse.urlsplit(self._endpoint), urllib.parse.urlsplit(url)
        own_host, other_host = own.hostname or "", other.hostname or ""
        if _AWS.fullmatch(own_host) and _AWS.fullmatch(other_host):
            return other.scheme in (own.scheme, "https") and other.port == own.port
        same_host = other_host == own_host or other_host.endswith(f".{own_host}")
        upgraded = (own.scheme, other.scheme) == ("http", "https")
        return same_host and (upgraded or (other.scheme, other.port) == (own.scheme, own.port))

    def _region_of(self, url: str) -> str:
        aws = _AWS.fullmatch(urllib.parse.urlsplit(url).hostname or "")
        return aws["region"] if aws and aws["region"] else self._region


@dataclasses.dataclass(frozen=True)
class S3Source(Source):
    """``address`` is the URL of the bucket, ``key`` that of the object, or the folder that all of their keys are below.

    ``revision`` is the digest of the paths and checksums of all files of the artefact, as ``version`` makes it.
    """

    FORM = "s3://bucket[/prefix][/key]"
    REVISION = "a digest of paths and checksums, 64 hexadecimal digits"
    LISTS = True

    key: str = ""
    region: str = ""
    credentials: Credentials | None = None

    @classmethod
    def parse(cls, name: str, given: t.Mapping[str, t.Any], *, endpoint: str, token: str | None) -> S3Source:
        text, revision, options = given["source"], given.get("revision"), given.get("s3") or {}
        bucket, _slash, key = text.partition("://")[2].partition("/")
        key = key[:-1] if key.endswith("/") else key
        one_file = bool(given.get("sha256"))
        if not _BUCKET.fullmatch(bucket) or (one_file and not key):
            raise HostError(f"{name}: {text!r} is not s3://bucket/prefix or, with sha256, s3://bucket/key")
        if key:
            check_steps(key, f"{name}: {text!r}")
        if given.get("token"):
            raise HostError(f"{name}: {text} needs credentials in s3, and no token")
        region = options.get("region") or "us-east-1"
        if not _REGION.fullmatch(region):
            raise HostError(f"{name}: {region!r} is no region; write such as eu-central-1")
        at = (given.get("endpoint") or f"https://s3.{region}.amazonaws.com").rstrip("/")
        parts = urllib.parse.urlsplit(at)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
            raise HostError(f"{name}: the endpoint {at!r} is no address of a store, such as https://s3.example.com")
        addressing = options.get("addressing") or "auto"
        # A certificate for *.s3.amazonaws.com is none for a bucket with a dot in its name.
        if addressing == "virtual" or (addressing == "auto" and _AWS.fullmatch(parts.hostname) and "." not in bucket):
            base = parts._replace(netloc=f"{bucket}.{parts.netloc}").geturl()
        else:
            base = f"{at}/{bucket}"
        credentials = None
        if options.get("access_key"):
            credentials = Credentials(
                options["access_key"], options.get("secret_key") or "", options.get("session_token")
            )
        return cls(
            f"s3://{bucket}/{key}".rstrip("/"),
            base,
            key.rsplit("/", 1)[-1] if one_file else None,
            at,
            revision.lower() if revision else None,
            key,
            region,
            credentials,
        )

    @property
    def sends_secret(self) -> bool:
        """A key signs, and is not sent itself."""
        return bool(self.credentials and self.credentials.session_token)

    def is_pinned(self, artifact: DesiredArtifact) -> bool:
        named = bool(artifact.files) and all(one.sha256 for one in artifact.files)
        return bool(SHA256.fullmatch(self.revision)) if self.revision else named

    def unpinned(self, artifact: DesiredArtifact, ask: Questions, listing: Listing) -> HostError:
        now = _revision(listing())
        needs = f"has the revision {self.revision!r} and needs" if self.revision else "needs"
        return HostError(
            f"{artifact.name}: {self.shown} {needs} a revision that cannot move: write the digest of its files, which "
            f"is {now} now"
        )

    def version(self, artifact: DesiredArtifact) -> str:
        return self.revision[:16] if self.revision else super().version(artifact)

    def access(self, now: t.Callable[[], float]) -> Access:
        return _S3Access(self, now)

    def locate(self, artifact: DesiredArtifact, path: str, sha256: str | None) -> str:
        key = self.key if self.file is not None else f"{self._folder}{path}"
        versions = [named.version_id for named in artifact.files if named.path == path and named.version_id]
        query = f"?versionId={urllib.parse.quote(versions[0], safe='~')}" if versions else ""
        return f"{self.address}/{urllib.parse.quote(key, safe='/~')}{query}"

    def offered(self, artifact: DesiredArtifact, ask: Questions) -> t.Iterable[DesiredFile]:
        return map(as_named, artifact.files) if artifact.files else self._objects(artifact, ask)

    def completed(
        self, artifact: DesiredArtifact, chosen: t.Sequence[DesiredFile], ask: Questions
    ) -> t.Sequence[DesiredFile]:
        """With the sums that the store has of its objects. HostError when they are not those of the revision."""

        def summed(desired: DesiredFile) -> DesiredFile:
            if desired.sha256:
                return desired
            answer, size = ask.head(desired, name=artifact.name)
            found = _whole_sha256(answer.headers)
            unfit = "" if found else "has no sha256 of the whole object in its store; name it in files with sha256"
            return dataclasses.replace(with_size(artifact.name, desired, size), sha256=found, unfit=unfit)

        files = ask.each(summed, chosen)
        if self.is_pinned(artifact) and self.revision and all(desired.sha256 for desired in files):
            found = _revision(files)
            if found != self.revision:
                raise HostError(
                    f"{artifact.name}: {self.shown} should have the revision {self.revision}, and has {found} now; "
                    "nothing was downloaded and no version was published",
                    desired=self.revision,
                    found=found,
                )
        return files

    def probed(self, artifact: DesiredArtifact, missing: t.Sequence[DesiredFile]) -> t.Sequence[DesiredFile]:
        """Those that only the options name."""
        return [desired for desired in missing if desired.size is None] or missing[:1]

    @property
    def _folder(self) -> str:
        return f"{self.key}/" if self.key else ""

    def _objects(self, artifact: DesiredArtifact, ask: Questions) -> t.Iterator[DesiredFile]:
        query = {"list-type": "2", "encoding-type": "url", "prefix": self._folder}
        for _page in range(_MOST_PAGES):
            url = f"{self.address}/?{urllib.parse.urlencode(query, quote_via=urllib.parse.quote, safe='~')}"
            answer, body = ask(url, name=artifact.name)
            if answer.status != 200:
                raise refusal(answer, name=artifact.name, what=self.shown, access=ask.access, body=body)
            page = self._page(artifact, body)
            encoded = page.findtext("EncodingType") == "url"
            for entry in page.iter("Contents"):
                key = entry.findtext("Key") or ""
                key = urllib.parse.unquote_plus(key) if encoded else key
                if not key.endswith("/"):  # a folder that a console made
                    path = check_path(key[len(self._folder) :], f"{artifact.name}: {self.shown}")
                    yield DesiredFile(path, "", size=number(entry.findtext("Size")))
            more = page.findtext("NextContinuationToken")
            if page.findtext("IsTruncated") != "true":
                return
            if not more or more == query.get("continuation-token"):
                break
            query["continuation-token"] = more
        raise HostError(f"{artifact.name}: {self.endpoint} says that its list goes on, and not how")

    def _page(self, artifact: DesiredArtifact, body: bytes) -> Element:
        """The list as XML, whatever its namespace is."""
        import xml.etree.ElementTree  # a host that is right has no list to read

        try:
            if b"<!" in body:
                raise ValueError("a list needs no declarations")
            page = xml.etree.ElementTree.fromstring(body)
        except (ValueError, xml.etree.ElementTree.ParseError):
            page = None
        if page is None or not page.tag.endswith("ListBucketResult"):
            raise HostError(f"{artifact.name}: {self.endpoint} does not answer as a store that speaks S3 does")
        for element in page.iter():
            element.tag = element.tag.rpartition("}")[2]
        return page


def _revision(files: t.Iterable[DesiredFile]) -> str:
    return digest(sorted([desired.path, desired.sha256] for desired in files))


def _whole_sha256(headers: t.Mapping[str, str]) -> str | None:
    """The sha256 of an object, None where the store has none, or only the sum of the sums of its parts."""
    said, kind = headers.get("x-amz-checksum-sha256", ""), headers.get("x-amz-checksum-type", "")
    in_parts = re.search(r'-\d+"?$', headers.get("etag", "")) is not None
    if kind.upper() != "FULL_OBJECT" and (kind or in_parts):
        return None
    try:
        found = base64.b64decode(said, validate=True)
    except binascii.Error:
        return None
    return found.hex() if len(found) == 32 else None
