# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Points roles at a mirror of a bundle: ``mlops_hosts_mirror``, its address, and ``mlops_hosts_mirror_manifest``, a
file on the controller that is trusted.

A role whose own variable names a mirror keeps to it.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import re
import typing as t
import urllib.parse

from ...module_utils._bundle import images, models, wheels
from ...module_utils._bundle.manifest import Manifest, parse
from ...module_utils._container_runtime import mirror
from ...module_utils._errors import HostError
from .built import Built, Check, Data

URL, MANIFEST = "mlops_hosts_mirror", "mlops_hosts_mirror_manifest"
FACTS = ("distribution", "distribution_release", "os_family", "architecture")
# Options of roles that name a mirror of their own, of packages and of the rest.
OWN_REPOSITORIES = {
    "container_runtime": ("mirror",),
    "cuda_toolkit": ("repository_url",),
    "gpu_driver": ("repository_url", "amd_mirror"),
    "gpu_metrics": ("repository_url",),
    "log_shipper": ("repository_url",),
}
OWN_SOURCES = {"model_runtime": ("index_url", "extra_index_urls"), "model_store": ("endpoint",)}
PULLS = "mlops.hosts.container_image"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclasses.dataclass(frozen=True)
class Mirror:
    url: str
    manifest: Manifest

    @property
    def text(self) -> str:
        """The manifest, for a host."""
        return self.manifest.text()

    def options(self, role: str, options: dict[str, t.Any], spec: Data) -> None:
        """Point the options at it of roles that fetch by themselves."""
        if _has_own(OWN_SOURCES.get(role, ()), role, options, spec):
            return
        if role == "model_runtime":
            options["index_url"] = f"{self.url}/{wheels.INDEX}/"
        elif role == "model_store":
            # Of the hub nobody else may have the token, and the mirror needs none.
            options.update(endpoint=f"{self.url}/hub", token="", token_file="", seeds=[])
            options["artifacts"] = [self._artifact(one) for one in options["artifacts"]]

    def _artifact(self, item: Data) -> dict[str, t.Any]:
        source = str(item.get("source") or "")
        if item.get("endpoint") or not models.is_mirrored(source):
            return dict(item)
        plain = {name: value for name, value in item.items() if name not in ("token", "token_file")}
        if source.startswith("hf://"):
            return plain
        return {**plain, "source": f"{self.url}/{urllib.parse.quote(models.place(source, None))}"}

    def apply(self, built: Built, facts: Data) -> Built:
        """With the bundle's repository in the place of those that the component has, and its images."""
        return self._packages(self._images(built, facts), facts)

    def _images(self, built: Built, facts: Data) -> Built:
        """Images that the bundle does not have are those of a registry that the host reaches."""
        arch = _ARCHITECTURES.get(str(facts.get("architecture")), str(facts.get("architecture")))
        engines = {image: engine for image, engine in images_of(built) if engine in mirror.ENGINES}
        had = {
            one.arch: set(engines) & set(one.packages)
            for one in self.manifest.repositories
            if one.component == images.REPOSITORY
        }
        lacking = sorted(set().union(*had.values()) - had.get(arch, set()))
        problems = [
            f"The bundle of {MANIFEST} has the image {image} for {', '.join(sorted(had))}, and not for {arch}; run the "
            "playbook bundle for a host like this one, and copy the bundle to the mirror."
            for image in lacking
        ]
        names = {
            image: mirror.docker_name(image) if engines[image] == "docker" else image for image in had.get(arch, ())
        }
        if not names:
            return dataclasses.replace(built, problems=(*built.problems, *problems))
        mirrors = {name: self.url for name in names.values()}
        component = _renamed(built.component, names)
        for one in (component or {}).get("images") or ():
            if one["name"] in mirrors:
                one["mirror"] = self.url

        def rest(changed: bool, dry_run: bool) -> Data | None:
            found = built.rest(changed, dry_run)
            return {**_renamed(found, names), "mirrors": mirrors} if found and found.get("images") else found

        return dataclasses.replace(
            built,
            problems=(*built.problems, *problems),
            component=component,
            checks=tuple(_check(one, names) for one in built.checks),
            rest=rest,
        )

    def _packages(self, built: Built, facts: Data) -> Built:
        component = built.component
        if component is None or component.get("state") == "absent" or not present(component):
            return built
        is_el = facts.get("os_family") == "RedHat"
        release = "distribution_major_version" if is_el else "distribution_release"
        name, suite = component["name"], f"{'el' if is_el else ''}{facts.get(release)}"
        arch = _ARCHITECTURES.get(str(facts.get("architecture")), str(facts.get("architecture")))
        repository = self.manifest.repository(name, suite, arch)
        lacking = [one["name"] for one in present(component) if repository and one["name"] not in repository.packages]
        if repository is None or lacking:
            what = f"the packages {', '.join(lacking)}" if lacking else "no packages"
            problem = (
                f"The bundle of {MANIFEST} {'lacks' if lacking else 'has'} {what} of {name} for "
                f"{facts['distribution']} {suite} on {arch}; run the playbook bundle for a host like this one, and "
                "copy the bundle to the mirror."
            )
            return dataclasses.replace(built, problems=(*built.problems, problem))
        mirrored: dict[str, t.Any] = {
            "name": f"mlops-mirror-{name}",
            "key": self.manifest.key,
            "fingerprint": self.manifest.fingerprint,
        }
        if is_el:
            # The packages are signed by their vendors, whose keys the host is not to know.
            mirrored.update(uris=[f"{self.url}/rpm/{suite}/{name}/"], gpg_check="metadata")
        else:
            mirrored.update(uris=[f"{self.url}/apt/{suite}/"], suites=[f"{name}/"])
        return dataclasses.replace(built, component={**component, "repositories": [mirrored]})


def read(variables: Data, template: t.Callable[[t.Any], t.Any]) -> Mirror | None:
    """None where no mirror is set. HostError where its manifest is not there, or is none."""
    url = str(template(variables[URL]) or "") if URL in variables else ""
    if not url:
        return None
    path = str(template(variables[MANIFEST]) or "") if MANIFEST in variables else ""
    if not url.startswith(("https://", "http://")):
        raise HostError(f"{URL} must be an address such as https://mirror.example.org/bundle, not {url!r}")
    if not os.path.isfile(path):
        raise HostError(
            f"{MANIFEST} must be the path of the bundle's bundle.json on the controller, by which the mirror is "
            f"trusted, and {path or 'nothing'!r} is no file"
        )
    found = os.stat(path)
    return Mirror(url.rstrip("/"), _manifest(path, found.st_mtime_ns, found.st_size))


@functools.lru_cache(maxsize=4)
def _manifest(path: str, _changed_ns: int, _size: int) -> Manifest:
    with open(path, encoding="utf-8") as source:
        return parse(source.read(), path)


def has_own_repository(role: str, options: Data, spec: Data) -> bool:
    """Whether the role's own variables name where its packages are."""
    return _has_own(OWN_REPOSITORIES.get(role, ()), role, options, spec)


def _has_own(nouns: t.Iterable[str], role: str, options: Data, spec: Data) -> bool:
    return any(options.get(noun) not in (None, "", [], spec.get(f"{role}_{noun}", {}).get("default")) for noun in nouns)


def images_of(built: Built) -> list[tuple[str, str]]:
    """The images that a role has engines pull, each with its engine."""
    found = [(one["name"], one["engine"]) for one in (built.component or {}).get("images") or ()]
    pulled = [check.question.args for check in built.checks if check.question.module == PULLS]
    return [*found, *((image, args["provider"]) for args in pulled for image in args["images"])]


def _check(check: Check, names: t.Mapping[str, str]) -> Check:
    if check.question.module != PULLS:
        return check
    question = dataclasses.replace(check.question, args=_renamed(check.question.args, names))
    return dataclasses.replace(check, question=question)


def _renamed(value: t.Any, names: t.Mapping[str, str]) -> t.Any:
    """A copy of what was built, with other names of images. Each has a digest, and nothing else is called so."""
    if isinstance(value, str):
        return re.sub(r"[\w./:-]+@sha256:[0-9a-f]{64}", lambda found: names.get(found[0], found[0]), value)
    if isinstance(value, t.Mapping):
        return {key: _renamed(one, names) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_renamed(one, names) for one in value)
    return value


def present(component: Data) -> list[Data]:
    """The packages that a component installs."""
    return [one for one in component.get("packages") or () if one.get("state", "present") == "present"]
