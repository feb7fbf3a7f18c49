# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the variables of role container_runtime to a component, and what is refused on the way."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
import yaml
from ansible_collections.mlops.hosts.plugins.module_utils._container_runtime import paths
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.container_runtime.build import build, facts
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.container_runtime.engines import crio
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.platform import Platform, platform

ROOT = pathlib.Path(__file__).resolve().parents[5]
ROLE = ROOT / "roles/container_runtime"
DIGEST = "sha256:" + "0" * 64
CA = "-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----"
RUNS = ROOT / "tests/unit/data/crio/1.33.0/status-config.toml"
CRIO = {
    "provider": "crio",
    "source": "vendor",
    "version": "1.33.*",
    "repository_key": "key",
    "repository_fingerprint": "print",
}
SOURCES = ("vendor", "distribution")
LOGIN = {"name": "r.example.org:5000", "ca": CA, "username": "puller", "password": "word"}


def options(**given: t.Any) -> dict[str, t.Any]:
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
    return {**{name.replace("container_runtime_", ""): value for name, value in defaults.items()}, **given}


def asked(release: str = "trixie", family: str = "Debian", **desired: t.Any) -> dict[str, t.Any]:
    facts = {
        "distribution": "Debian" if family == "Debian" else "Rocky",
        "distribution_release": release,
        "distribution_major_version": release,
        "os_family": family,
        "architecture": "x86_64",
    }
    found = build(options(**{"provider": "docker", **desired}), platform("container_runtime", facts))
    return {"problems": list(found.problems), "component": found.component or {}}


def on_el(release: str = "9", **desired: t.Any) -> dict[str, t.Any]:
    return asked(release, "RedHat", source="vendor", repository_key="key", toolkit_key="key", **desired)


def files(found: dict[str, t.Any]) -> dict[str, dict[str, t.Any]]:
    assert found["problems"] == []
    return {file["path"]: file for file in found["component"]["files"]}


def test_the_defaults_own_four_keys_of_daemon_json() -> None:
    keys = files(asked())[paths.DAEMON_JSON]["json_keys"]
    assert keys == {
        "live-restore": True,
        "log-driver": "json-file",
        "log-opts": {"max-size": "50m", "max-file": "5"},
    }


def test_docker_is_reloaded_for_what_it_reads_again_and_restarted_for_the_rest() -> None:
    daemon = files(asked())[paths.DAEMON_JSON]
    assert {"registry-mirrors", "live-restore"} <= set(daemon["reload_keys"])
    assert not {"log-driver", "log-opts"} & set(daemon["reload_keys"])
    assert daemon.get("on_change", "restart") == "restart"


def test_an_unknown_release_has_no_component() -> None:
    found = asked(release="sid")
    assert found["problems"] == [
        "container_runtime knows bookworm, trixie, and this host is Debian sid; take it out of the play."
    ]
    assert not found["component"]


@pytest.mark.parametrize("provider", ["docker", "podman", "containerd", "crio"])
def test_absent_needs_no_platform_and_asks_before_it_stops_an_engine(provider: str) -> None:
    gone = options(provider=provider, state="absent")
    assert facts(gone) == ()
    found = build(gone, Platform())
    assert found.component == {
        "name": "container_runtime",
        "state": "absent",
        "settle_s": 2,
        "lock_timeout_s": 600,
    }
    assert found.question is not None and found.rest(True, False) is None


def test_without_an_engine_there_is_nothing_to_do() -> None:
    assert facts(options(provider="none")) == ()
    assert build(options(provider="none"), Platform()).component is None


def test_an_old_docker_is_not_asked_to_validate_and_not_told_of_cdi() -> None:
    toolkit = {"toolkit": "nvidia", "toolkit_key": "key"}
    old, new = (files(asked(release, **toolkit))[paths.DAEMON_JSON] for release in ("bookworm", "trixie"))
    assert (old["validate"], "features" in old["json_keys"]) == ([], False)
    assert new["validate"][:2] == ["dockerd", "--validate"]
    assert new["json_keys"]["features"] == {"cdi": True}
    assert "default-runtime" not in new["json_keys"]


def test_all_packages_of_the_toolkit_have_one_version_and_a_pin() -> None:
    found = asked(toolkit="nvidia", toolkit_key="key", toolkit_version="1.19.1", mirror="https://mirror.example.org/")
    packages = [item for item in found["component"]["packages"] if "nvidia" in item["name"]]
    assert {item["version"] for item in packages} == {"1.19.1-*"}
    assert len(packages) == 4
    assert found["component"]["repositories"][0]["uris"] == [
        "https://mirror.example.org/libnvidia-container/stable/deb/amd64/"
    ]
    assert "Pin: version 1.19.1-*" in files(found)["/etc/apt/preferences.d/mlops-hosts-container-toolkit"]["content"]
    assert found["component"]["absent_paths"] == ["/etc/cdi/nvidia.yaml", "/etc/cdi/nvidia.json"]


@pytest.mark.parametrize(
    ("version", "pattern"),
    [("5:29.*", "5:29.*"), ("29.2.0", "29.2.0-*"), ("", None)],
    ids=["a-pattern-is-taken-as-it-is", "a-number-is-any-build-of-it", "none-pins-nothing"],
)
def test_the_vendors_docker_comes_from_its_repository(version: str, pattern: str | None) -> None:
    found = asked(source="vendor", repository_key="key", version=version)["component"]
    assert found["repositories"][0]["uris"] == ["https://download.docker.com/linux/debian"]
    assert found["repositories"][0]["suites"] == ["trixie"]
    present = [item for item in found["packages"] if "state" not in item]
    assert {item["name"]: (item.get("version"), item.get("hold", False)) for item in present} == {
        "docker-ce": (pattern, pattern is not None),
        "docker-ce-cli": (pattern, pattern is not None),
        "containerd.io": (None, False),
        "docker-buildx-plugin": (None, False),
        "docker-compose-plugin": (None, False),
    }
    assert [unit["name"] for unit in found["units"]] == ["containerd.service", "docker.socket", "docker.service"]


def test_what_lies_where_the_vendors_docker_belongs_goes_first() -> None:
    packages = {source: asked(source=source, repository_key="key")["component"]["packages"] for source in SOURCES}
    gone = {source: [item["name"] for item in found if "state" in item] for source, found in packages.items()}
    assert gone == {"vendor": ["docker-cli", "docker-buildx"], "distribution": []}


def test_on_el_docker_comes_from_its_repository_and_is_locked() -> None:
    found = on_el(version="29.2.0")["component"]
    assert found["repositories"][0]["uris"] == ["https://download.docker.com/linux/centos/9/x86_64/stable"]
    packages = {item["name"]: item.get("version") for item in found["packages"] if "state" not in item}
    assert (packages["docker-ce"], packages["containerd.io"]) == ("29.2.0", None)
    assert "python3-dnf-plugin-versionlock" in packages
    unpinned = on_el()["component"]["packages"]
    assert "python3-dnf-plugin-versionlock" not in [item["name"] for item in unpinned]


def test_on_el_nvidias_toolkit_is_signed_by_its_index_and_locked() -> None:
    found = on_el("10", provider="podman", toolkit="nvidia", mirror="https://mirror.example.org")["component"]
    (repository,) = found["repositories"]
    assert repository["uris"] == ["https://mirror.example.org/libnvidia-container/stable/rpm/x86_64"]
    assert repository["gpg_check"] == "metadata"
    locked = [item for item in found["packages"] if item.get("hold")]
    assert {item["version"] for item in locked} == {"1.20.0"}
    assert len(locked) == 4
    assert not [file for file in found["files"] if "/etc/apt" in file["path"]]


def test_on_el_amds_toolkit_has_a_repository_for_one_release() -> None:
    found = on_el(toolkit="amd", toolkit_fingerprint="0" * 40)["component"]
    assert found["repositories"][0]["uris"] == ["https://repo.radeon.com/amd-container-toolkit/el9/main/"]
    assert {"name": "amd-container-toolkit", "version": "1.3.0", "hold": True, "on_change": "none"} in found["packages"]
    other = on_el("10", toolkit="amd", toolkit_fingerprint="0" * 40)
    assert "AMD has no container toolkit for Enterprise Linux 10" in " ".join(other["problems"])


@pytest.mark.parametrize(
    ("provider", "source"), [("docker", "distribution"), ("containerd", "distribution"), ("crio", "vendor")]
)
def test_what_el_does_not_have_is_refused_with_what_it_has(provider: str, source: str) -> None:
    problems = asked("9", "RedHat", provider=provider, source=source)["problems"]
    assert problems == [
        f"Enterprise Linux 9 has no {provider}; set container_runtime_provider to podman, or to docker with "
        "container_runtime_source vendor."
    ]


@pytest.mark.parametrize("desired", [{"provider": "docker"}, {"provider": "podman"}, CRIO], ids=str)
def test_a_password_is_in_a_secret_file_of_root_and_nowhere_else(desired: dict[str, t.Any]) -> None:
    found = files(asked(**desired, registries=[LOGIN]))
    login = found.pop("/root/.docker/config.json")
    assert (login["secret"], login["mode"]) == (True, "0600")
    assert login["json_keys"] == {"auths": {"r.example.org:5000": {"auth": "cHVsbGVyOndvcmQ="}}}
    assert "cHVsbGVyOndvcmQ=" not in repr(found)
    assert "word" not in repr(found)


def test_containerd_has_the_password_where_it_looks_for_it() -> None:
    found = files(asked(provider="containerd", registries=[LOGIN], registry_mirrors=["https://r.example.org:5000"]))
    for name in ("docker.io", "r.example.org:5000"):
        hosts = found.pop(f"/etc/containerd/certs.d/{name}/hosts.toml")
        assert (hosts["secret"], hosts["mode"]) == (True, "0600")
        assert 'Authorization = "Basic cHVsbGVyOndvcmQ="' in hosts["content"]
        assert 'ca = "/etc/containerd/certs.d/r.example.org:5000/ca.crt"' in hosts["content"]
    assert "cHVsbGVyOndvcmQ=" not in repr(found)


def test_containerd_keeps_its_own_configuration_and_ours_has_the_last_word() -> None:
    found = files(asked(provider="containerd", data_root="/srv/containerd"))
    ours = found["/etc/containerd/mlops-hosts/config.toml"]["content"]
    assert 'imports = ["/etc/containerd/con*fig.toml", "/etc/containerd/mlops-hosts/last.toml"]' in ours
    last = found["/etc/containerd/mlops-hosts/last.toml"]["content"]
    assert 'imports = ["/etc/containerd/mlops-hosts/settings.toml"]' in last
    assert "/etc/containerd/config.toml" not in found
    assert 'root = "/srv/containerd"' in found["/etc/containerd/mlops-hosts/settings.toml"]["content"]


@pytest.mark.parametrize("desired", [{"provider": "docker"}, CRIO], ids=lambda desired: desired["provider"])
def test_a_proxys_password_is_not_in_the_unit(desired: dict[str, t.Any]) -> None:
    proxy = "http://me:word@proxy.example.org:3128"
    found = files(asked(**desired, https_proxy=proxy, data_root="/srv", data_root_is_mount=True))
    assert found[f"/etc/{desired['provider']}/mlops-hosts-proxy.env"]["secret"]
    drop_in = found[f"/etc/systemd/system/{desired['provider']}.service.d/mlops-hosts.conf"]["content"]
    assert "word" not in drop_in
    assert "RequiresMountsFor=/srv" in drop_in


def test_podman_gets_mirrors_limits_and_quadlets() -> None:
    found = asked(
        provider="podman",
        registry_mirrors=["http://m.example.org:5001"],
        insecure_registries_allowed=True,
        log_driver="json-file",
        quadlets=[{"name": "web.container", "content": "[Container]\n"}],
    )
    there = files(found)
    registries = there["/etc/containers/registries.conf.d/50-mlops-hosts.conf"]["content"]
    assert 'location = "m.example.org:5001"\ninsecure = true' in registries
    containers = there["/etc/containers/containers.conf.d/50-mlops-hosts.conf"]["content"]
    assert 'log_driver = "k8s-file"\nlog_size_max = 52428800' in containers
    assert found["component"]["units"] == [
        {"name": "web.service", "enabled": False, "state": "started", "drop_ins": "keep"}
    ]


def test_crios_repository_is_that_of_its_minor_version() -> None:
    found = asked(**{**CRIO, "version": "1.34.2-1.1"}, mirror="https://mirror.example.org/")["component"]
    path = "repositories/isv:/cri-o:/stable:/v1.34/deb/"
    assert found["repositories"][0]["uris"] == [f"https://mirror.example.org/{path}"]
    assert found["packages"] == [{"name": "cri-o", "version": "1.34.2-1.1", "hold": True}]
    key = asked(**{**CRIO, "repository_key": ""})["problems"][0]
    assert "https://download.opensuse.org/repositories/isv:/cri-o:/stable:/v1.33/deb/Release.key" in key


def test_crio_tells_of_each_setting_in_the_words_of_the_drop_in() -> None:
    desired = {"data_root": "/srv/images", "log_driver": "journald", "default_runtime": "crun", "registries": [LOGIN]}
    found = files(asked(**CRIO, **desired, toolkit="nvidia", toolkit_key="key"))
    settings = [line for line in found[crio.SETTINGS]["content"].splitlines() if " = " in line]
    assert len(settings) == 6
    assert set(settings) <= {line.strip() for line in RUNS.read_text().splitlines()}


def test_what_crio_is_not_asked_for_is_not_in_its_drop_in() -> None:
    found = files(asked(**CRIO))
    assert list(found) == [crio.SETTINGS]
    assert found[crio.SETTINGS]["content"] == "# Ansible managed\n[crio.runtime]\nlog_size_max = 52428800\n"


def test_crio_looks_again_at_mirrors_without_a_restart() -> None:
    mirror = files(asked(**CRIO, registry_mirrors=["https://m.example.org"], registries=[LOGIN]))
    registries = mirror["/etc/containers/registries.conf.d/50-mlops-hosts.conf"]
    assert (registries["on_change"], registries["units"]) == ("reload", ["crio.service"])
    assert mirror["/etc/containers/certs.d/r.example.org:5000/ca.crt"]["on_change"] == "none"


@pytest.mark.parametrize(
    ("desired", "says"),
    [
        ({"images": ["r.example.org/tiny:1"]}, "can be another image tomorrow"),
        ({"insecure_registries": ["r.example.org"]}, "container_runtime_insecure_registries_allowed if that is meant"),
        ({"registry_mirrors": ["http://r.example.org"]}, "http://r.example.org would be talked to without"),
        ({"registry_mirrors": ["r.example.org"]}, "must be URLs such as https://r.example.org, not 'r.example.org'"),
        (
            {"registries": [{"name": "https://r.example.org"}]},
            "must be hosts such as r.example.org:5000, not 'https://r.example.org'",
        ),
        ({"registries": [{"name": "r.example.org", "username": "me"}]}, "needs username and password"),
        ({"registries": [{"name": "r.example.org", "ca": "x"}]}, "is no certificate in PEM"),
        ({"quadlets": [{"name": "web.container", "content": ""}]}, "are units of podman"),
        ({"data_root": "srv"}, "container_runtime_data_root must be an absolute path, not 'srv'"),
        ({"provider": "podman", "docker_users": ["me"]}, "container_runtime_docker_users is for docker"),
        ({"provider": "podman", "quadlets": [{"name": "web.service", "content": ""}]}, "must end in .container"),
        ({"provider": "podman", "https_proxy": "http://me:word@p"}, "every user of podman has to read"),
        (
            {"provider": "podman", "log_driver": "local", "log_max_size": "much"},
            "container_runtime_log_max_size must be a size such as 50m, not 'much'",
        ),
        ({"provider": "containerd", "source": "vendor"}, "containerd comes from the distribution"),
        ({"provider": "podman", "default_runtime": "crun"}, "container_runtime_default_runtime is for docker and crio"),
        ({**CRIO, "source": "distribution"}, "Debian trixie has no package of CRI-O"),
        ({**CRIO, "version": ""}, "a repository for each minor version"),
        ({**CRIO, "version": "1.33"}, "must be a minor version such as 1.34.*, not '1.33': CRI-O"),
        ({**CRIO, "repository_fingerprint": ""}, "container_runtime_repository_fingerprint is not set"),
        ({**CRIO, "log_driver": "json-file"}, "CRI-O writes the log files of Kubernetes in any case"),
        ({**CRIO, "log_max_size": "much"}, "container_runtime_log_max_size must be a size such as 50m, not 'much'"),
        ({**CRIO, "daemon_config": {"debug": True}}, "container_runtime_daemon_config is for docker"),
        ({"source": "vendor"}, "container_runtime_repository_key is not set"),
        ({"toolkit": "nvidia"}, "https://nvidia.github.io/libnvidia-container/gpgkey"),
        ({"toolkit": "amd", "toolkit_key": "key"}, "AMD has no container toolkit for Debian trixie"),
    ],
)
def test_what_cannot_be_is_refused(desired: dict[str, t.Any], says: str) -> None:
    found = asked(**desired)
    assert says in " ".join(found["problems"])
    assert not any(found["component"].values())


@pytest.mark.parametrize(
    ("desired", "says"),
    [
        ({"provider": "podman", "quadlets": [{"name": "web.container", "content": ""}]}, "need podman 4.4"),
    ],
)
def test_an_old_release_says_what_it_lacks(desired: dict[str, t.Any], says: str) -> None:
    assert says in " ".join(asked("bookworm", **desired)["problems"])


@pytest.mark.parametrize(
    ("desired", "driver", "mine"),
    [
        ({}, "json-file", {"max-size": "50m", "max-file": "5"}),
        ({"log_driver": "journald"}, "journald", None),
        ({"daemon_config": {"log-driver": "syslog"}}, "syslog", None),
        ({"log_driver": "local", "daemon_config": {"log-driver": "none"}}, "none", None),
    ],
    ids=["default", "variable", "daemon_config", "daemon_config wins"],
)
def test_options_of_log_files_are_those_of_the_driver_that_docker_gets(
    desired: dict[str, t.Any], driver: str, mine: dict[str, str] | None
) -> None:
    file = files(asked(**desired))[paths.DAEMON_JSON]
    assert (file["json_keys"]["log-driver"], file["json_keys"].get("log-opts")) == (driver, mine)
    allowed = file["json_only"].get("log-opts")
    assert ("max-size" in (allowed or ())) is (driver == "json-file")
    assert (allowed is None) is (driver == "syslog")


def test_options_that_the_driver_does_not_know_are_refused() -> None:
    desired = {"log_driver": "journald", "daemon_config": {"log-opts": {"max-size": "1m"}}}
    assert "has max-size in log-opts, with which Docker does not start" in asked(**desired)["problems"][0]
