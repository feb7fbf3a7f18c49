# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Makes one part of a bundle: what is there already is not fetched again, and what is half done is gone on with."""

from __future__ import annotations

import dataclasses
import os
import time
import typing as t

from .._errors import HostError
from .._http import Fetch
from .._package_manager import find_manager
from .._runner import Runner
from . import apt, dnf, files, gpg, images, models, wheels
from .host import architecture
from .host import suite as suite_of_host
from .manifest import NAME, Entry, Manifest, read
from .packages import Packages, Place, source

Data = t.Mapping[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Made:
    """``new``: files that were not there. ``entries`` of this part."""

    changed: bool
    new: int
    entries: tuple[Entry, ...]
    manifest: Manifest

    def as_result(self) -> dict[str, t.Any]:
        return {
            "changed": self.changed,
            "files": len(self.entries),
            "bytes": sum(one.size for one in self.entries),
            "new_files": self.new,
            "fingerprint": self.manifest.fingerprint,
        }


def claim(out: str) -> None:
    """Make a directory a bundle. HostError where it has something in a folder of one, which a bundle would remove."""
    if not os.path.exists(os.path.join(out, NAME)):
        taken = [top for top in files.TOPS if os.path.lexists(os.path.join(out, top))]
        if taken:
            raise HostError(
                f"{out} must be a directory for a bundle alone, and has {', '.join(taken)} without a {NAME}; "
                "give another"
            )
        files.write(os.path.join(out, NAME), Manifest().text().encode())


def component(item: Data, params: Data, run: Runner) -> Made:
    """The packages of a component, in a signed repository of their own."""
    out, name, suite = params["dir"], item["name"], release()
    work = _packages(params["work"], run)
    place = Place(name, suite, architecture(run), f"{work.top}/{suite}")
    work.configure([source(one) for one in item["repositories"]], item["preferences"])
    published = work.fetch(item["packages"], place)
    new = sum(files.publish(path, os.path.join(out, at.path), at.sha256) for path, at in published)
    if not params["signing_key"]:
        raise HostError("signing_key must be the path of a key, since hosts trust packages by it alone")
    with gpg.signer(params["signing_key"], run) as signer:
        manifest = dataclasses.replace(read(out), key=signer.public, fingerprint=signer.fingerprint)
        indexes = _signed(signer, work, published, out, place)
    entries = [at for _path, at in published]
    return _written(out, manifest.with_repository(place.repository(entries)), name, suite, [*entries, *indexes], new)


def model(item: Data, params: Data, _run: Runner) -> Made:
    """A model that is in a store of this host."""
    out, manifest = params["dir"], read(params["dir"])
    found, new = models.entries(item, item["folder"], out)
    if item["source"].startswith("hf://"):
        known = {one.path: one for one in (*manifest.entries, *found)}
        found.append(models.listing(item["source"], item["revision"], known.values(), out))
    return _added(out, manifest, found, new)


def environment(item: Data, params: Data, run: Runner) -> Made:
    """The files of a Python environment. The index is one for all environments."""
    out, manifest = params["dir"], read(params["dir"])
    work = os.path.join(params["work"], "wheels")
    wheels.download(item, work, run, dict(os.environ))
    found, new = wheels.entries(item, work, out)
    known = {one.path: one for one in (*manifest.entries, *found)}
    return _added(out, manifest, [*found, *wheels.index(known.values(), out)], new)


def image(item: Data, params: Data, run: Runner, fetch: Fetch) -> Made:
    """An image from its registry, with the layers of this host's architecture."""
    out, manifest, arch = params["dir"], read(params["dir"]), architecture(run)
    name = item["name"]
    fetcher = images.Fetcher(name, images.login(name, item["registries"]), params["work"], fetch)
    found, new = images.entries(name, item["component"], fetcher, arch, manifest, out)
    return _added(out, manifest.with_repository(images.listed(manifest, name, arch)), found, new)


def release() -> str:
    """The name of the distribution's release, such as trixie."""
    found = suite_of_host()
    if found:
        return found
    raise HostError(
        "/etc/os-release names no release of a distribution; make the bundle on Debian, Ubuntu or an Enterprise Linux"
    )


def _packages(work: str, run: Runner) -> Packages:
    manager = find_manager()
    if manager == "apt":
        return apt.Apt(os.path.join(work, "apt"), run)
    if manager == "dnf":
        return dnf.Dnf(os.path.join(work, "dnf"), run)
    raise HostError("packages are fetched by apt or by dnf 4, and this host has dnf 5; make the bundle on another host")


def _signed(
    signer: gpg.Signer, work: Packages, published: t.Sequence[tuple[str, Entry]], out: str, place: Place
) -> list[Entry]:
    """The index and its signature, which stays as it is while the index does and the key does."""
    path, index = os.path.join(out, place.folder), work.index(published, place)
    changed = [name for name, data in index.items() if files.write(f"{path}/{name}", data)]
    signed = os.path.exists(f"{path}/{work.signature}") and read(out).fingerprint == signer.fingerprint
    if changed or not signed:
        files.write(f"{path}/{work.signature}", work.sign(index, place, signer))
    of, source_of = (place.component,), "the packages of this bundle"
    return [
        Entry(
            *("file", f"{place.component} {name}", "", "", place.suite, f"{place.folder}/{name}"),
            *(files.digest(f"{path}/{name}"), os.path.getsize(f"{path}/{name}"), source_of, of),
        )
        for name in (work.signature, *index)
    ]


def _added(out: str, manifest: Manifest, entries: t.Sequence[Entry], new: int) -> Made:
    """Models, wheels and images stay until the bundle is begun anew: another host may need what this one does not."""
    known = {(one.path, one.suite): one for one in (*manifest.entries, *entries)}
    return _done(out, dataclasses.replace(manifest, entries=tuple(known[at] for at in sorted(known))), entries, new)


def _written(out: str, manifest: Manifest, name: str, suite: str, entries: t.Sequence[Entry], new: int) -> Made:
    return _done(out, manifest.replaced(name, suite, entries), entries, new)


def _done(out: str, manifest: Manifest, entries: t.Sequence[Entry], new: int) -> Made:
    before = read(out)
    changed = dataclasses.replace(manifest, made_at=before.made_at) != before
    if changed:
        manifest = dataclasses.replace(manifest, made_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
        files.write(os.path.join(out, NAME), manifest.text().encode())
    # Last: what was dropped is gone when nothing names it any more.
    removed = files.prune(out, {one.path for one in manifest.entries})
    return Made(bool(changed or new or removed), new, tuple(entries), manifest)
