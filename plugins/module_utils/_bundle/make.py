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
from .._runner import Runner
from . import apt, files, gpg, images, models, wheels
from .host import architecture
from .host import suite as suite_of_host
from .manifest import NAME, Entry, Manifest, read

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
    out, name, suite, arch = params["dir"], item["name"], release(), architecture(run)
    work = apt.Apt(os.path.join(params["work"], "apt"), run)
    names = [*apt.names(item["packages"]), *apt.ALWAYS]
    work.configure([apt.source(one) for one in item["repositories"]], item["preferences"])
    found = sorted(work.closure(names, name), key=lambda one: one.name)
    work.download(names, found, name)
    published = [(one, apt.entry_of(one, work, name, suite)) for one in found]
    new = sum(files.publish(work.path(one), os.path.join(out, at.path), at.sha256) for one, at in published)
    if not params["signing_key"]:
        raise HostError("signing_key must be the path of a key, since hosts trust packages by it alone")
    with gpg.signer(params["signing_key"], run) as signer:
        manifest = dataclasses.replace(read(out), key=signer.public, fingerprint=signer.fingerprint)
        root = f"apt/{suite}"
        packages = apt.index(work, published, root)
        indexes = _signed(signer, packages, out, f"{root}/{name}", (name, suite, arch))
    manifest = manifest.with_repository(apt.repository(name, suite, arch, (at for _one, at in published)))
    return _written(out, manifest, name, suite, [*(at for _one, at in published), *indexes], new)


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
    raise HostError("/etc/os-release names no release of a distribution; make the bundle on Debian or Ubuntu")


def _signed(signer: gpg.Signer, packages: bytes, out: str, at: str, of: tuple[str, str, str]) -> list[Entry]:
    """The index and its signature, which stays as it is while the index does and the key does."""
    component, suite, arch = of
    path = os.path.join(out, at)
    changed = files.write(f"{path}/Packages", packages)
    signed = os.path.exists(f"{path}/InRelease") and read(out).fingerprint == signer.fingerprint
    if changed or not signed:
        date = time.strftime("%a, %d %b %Y %H:%M:%S UTC", time.gmtime())
        files.write(f"{path}/InRelease", signer.sign(apt.release(packages, component, suite, arch, date)))
    return [
        Entry(
            *("file", f"{component} {name}", "", "", suite, f"{at}/{name}", files.digest(f"{path}/{name}")),
            *(os.path.getsize(f"{path}/{name}"), "the packages of this bundle", (component,)),
        )
        for name in ("InRelease", "Packages")
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
