# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's containerd has stays, beside what the role sets. Dumps are recorded from three versions of containerd,
with the files of real hosts in tests/unit/data/containerd/files."""

from __future__ import annotations

import copy
import pathlib
import typing as t

import pytest
import tomllib
import yaml
from ansible_collections.mlops.hosts.plugins.module_utils._container_runtime import paths
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.container_runtime.build import build
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.container_runtime.engines import (
    containerd,
    containerd_config,
    toml_text,
)
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.platform import platform

ROOT = pathlib.Path(__file__).resolve().parents[5]
DATA = ROOT / "tests/unit/data/containerd"
FILES = {path.name: path.read_text() for path in (DATA / "files").iterdir()}
CONFIG = "/etc/containerd/config.toml"
DROP_IN = "/etc/containerd/conf.d/10-site.toml"
RELEASES = {"1.6.20": "bookworm", "1.7.24": "trixie", "2.1.9": "trixie"}
SITE = {
    "single-quoted": {CONFIG: FILES["single-quoted-config.toml"]},
    "imported": {CONFIG: FILES["imports-config.toml"], DROP_IN: FILES["conf.d-10-site.toml"]},
    "disabled": {CONFIG: FILES["disabled-cri-config.toml"]},
}
DUMPS = {"single-quoted": "single-quoted-config", "imported": "imports-config", "disabled": "disabled-cri-config"}
MIRROR = {"registry_mirrors": ["https://m.example.org"]}


def host(version: str, dump: str = "packaged", **more: t.Any) -> dict[str, t.Any]:
    """What container_runtime_info returns of a host with this containerd."""
    return {
        "files": SITE.get(dump, {}),
        "defaults": (DATA / version / "default.toml").read_text(),
        "site": (DATA / version / f"{DUMPS.get(dump, dump)}.toml").read_text(),
        "effective": None,
        "problem": "",
        "commands": [{"command": "/usr/bin/containerd", "source": "/usr/lib/systemd/system/containerd.service"}],
        **more,
    }


def fresh(files: dict[str, str] | None = None) -> dict[str, t.Any]:
    return {"files": files or {}, "defaults": None, "site": None, "effective": None, "problem": "", "commands": []}


def request(configuration: dict[str, t.Any], version: str = "1.7.24", **desired: t.Any) -> dict[str, t.Any]:
    role = ROOT / "roles/container_runtime"
    defaults = yaml.safe_load((role / "defaults/main.yml").read_text())
    values = {name.replace("container_runtime_", ""): value for name, value in defaults.items()}
    values.update(provider="containerd", toolkit_key="key", **(desired or {"toolkit": "nvidia"}))
    facts = {"distribution": "Debian", "distribution_release": RELEASES[version], "architecture": "x86_64"}
    host = platform("container_runtime", {**facts, "os_family": "Debian"})
    found = build(values, host, {"configuration": configuration})
    return {"problems": list(found.problems), "component": found.component}


def settings(found: dict[str, t.Any]) -> dict[str, t.Any]:
    assert found["problems"] == []
    text = next(file["content"] for file in found["component"]["files"] if file["path"] == paths.SETTINGS)
    return tomllib.loads(text)


def cri(found: dict[str, t.Any]) -> dict[str, t.Any]:
    return settings(found)["plugins"][containerd.CRI]


@pytest.mark.parametrize("version", ["1.6.20", "1.7.24"])
def test_a_fresh_host_keeps_the_default_runtime_and_a_second_run_changes_nothing(version: str) -> None:
    first, second = request(fresh(), version), request(host(version), version)
    assert settings(first) == settings(second)
    assert first == second
    runtimes = cri(first)["containerd"]["runtimes"]
    assert runtimes["runc"]["runtime_type"] == "io.containerd.runc.v2"
    assert runtimes["nvidia"]["options"] == {"BinaryName": "/usr/bin/nvidia-container-runtime"}
    assert cri(first).get("cni") == ({"bin_dir": "/usr/lib/cni"} if version == "1.6.20" else None)
    assert ("enable_cdi" in cri(first)) is (version != "1.6.20")


@pytest.mark.parametrize("site", ["single-quoted", "imported"])
@pytest.mark.parametrize("version", ["1.6.20", "1.7.24"])
def test_what_a_site_has_is_repeated_however_it_is_written(version: str, site: str) -> None:
    found = cri(request(host(version, site), version))
    assert found["sandbox_image"] == "registry.example.org/pause:3.9"
    assert found["containerd"]["runtimes"]["runc"]["options"] == {"SystemdCgroup": True}


@pytest.mark.parametrize("site", ["single-quoted", "imported"])
def test_files_are_read_before_containerd_is_there_as_it_reads_them(site: str) -> None:
    assert settings(request(fresh(SITE[site]))) == settings(request(host("1.7.24", site)))


def test_the_runtime_of_a_toolkit_has_cgroups_as_the_default_one() -> None:
    for version in ("1.7.24", "2.1.9"):
        runtimes = cri(request(host(version, "imported"), version))["containerd"]["runtimes"]
        assert runtimes["nvidia"]["options"]["SystemdCgroup"] is True
        assert runtimes["nvidia"]["options"]["BinaryName"] == "/usr/bin/nvidia-container-runtime"


def test_from_version_2_on_nothing_is_repeated_for_nothing_is_lost() -> None:
    found = cri(request(host("2.1.9", "imported"), "2.1.9"))
    assert list(found["containerd"]["runtimes"]) == ["nvidia"]
    assert "sandbox_image" not in found and "sandbox" not in repr(found)


def test_directories_of_cdi_and_of_registries_are_added_to_those_of_the_site() -> None:
    configured = host("1.7.24")
    text = configured["site"].replace('cdi_spec_dirs = ["/etc/cdi", "/var/run/cdi"]', 'cdi_spec_dirs = ["/opt/cdi"]')
    assert text != configured["site"]
    text = text.replace('config_path = ""', 'config_path = "/srv/certs.d"')
    found = cri(request({**configured, "site": text}, toolkit="nvidia", **MIRROR))
    assert found["cdi_spec_dirs"] == ["/opt/cdi", "/etc/cdi", "/var/run/cdi"]
    assert found["registry"]["config_path"] == "/etc/containerd/certs.d:/srv/certs.d"


@pytest.mark.parametrize("version", RELEASES)
def test_a_disabled_cri_is_named_with_file_and_line(version: str) -> None:
    for configured in (host(version, "disabled"), fresh(SITE["disabled"])):
        (problem,) = request(configured, version)["problems"]
        assert problem.startswith(f"{CONFIG}, line 1, has cri in disabled_plugins")
    whole_name = host(version, "disabled")
    whole_name["site"] = whole_name["site"].replace('"cri"', f'"{containerd.CRI}"')
    assert request(whole_name, version, toolkit="none")["problems"] == []


@pytest.mark.parametrize("version", ["1.6.20", "1.7.24"])
def test_a_short_name_is_refused_for_containerd_would_not_start(version: str) -> None:
    for configured in (host(version, "disabled"), fresh(SITE["disabled"])):
        (problem,) = request(configured, version, toolkit="none")["problems"]
        assert problem.startswith(f"{CONFIG}, line 1, has cri in disabled_plugins, and containerd takes names without")
    assert request(host("2.1.9", "disabled"), "2.1.9", toolkit="none")["problems"] == []


def test_without_cri_it_is_not_waited_for() -> None:
    def commands(configured: dict[str, t.Any]) -> list[str]:
        ready = request(configured, toolkit="none")["component"]["ready"]
        return [condition["command"][0] for condition in ready]

    disabled = host("1.7.24", "disabled")
    disabled["site"] = disabled["site"].replace('"cri"', f'"{containerd.CRI}"')
    assert commands(disabled) == ["ctr"]
    assert commands(host("1.7.24")) == ["ctr", "sh", "runc"]


def test_ready_asks_for_the_default_runtime_of_the_site() -> None:
    text = host("1.7.24", "imported")["site"].replace("SystemdCgroup = true", 'BinaryName = "/opt/crun"')
    ready = request({**host("1.7.24"), "site": text})["component"]["ready"]
    assert ready[-1]["command"] == ["/opt/crun", "--version"]


def test_old_mirrors_are_named_for_with_descriptions_of_registries_there_is_no_cri() -> None:
    text = (
        '[plugins."io.containerd.grpc.v1.cri".registry.mirrors."docker.io"]\nendpoint = ["https://old.example.org"]\n'
    )
    files = {CONFIG: f"version = 2\n{text}"}
    site = host("1.7.24")["site"].replace('[plugins."io.containerd.grpc.v1.cri".registry.mirrors]', text)
    for configured in (fresh(files), {**host("1.7.24"), "files": files, "site": site}):
        (problem,) = request(configured, **MIRROR)["problems"]
        assert problem.startswith(f"{CONFIG}, line 2, has registry.mirrors.docker.io")
        assert "docker.io" in cri(request(configured))["registry"]["mirrors"]


def test_certificates_for_old_registries_are_named_and_passwords_stay_secret() -> None:
    table = '[plugins."io.containerd.grpc.v1.cri".registry.configs."r.example.org".auth]'
    text = f'version = 2\n{table}\npassword = "word-77"\n'
    found = request(fresh({CONFIG: text}))
    file = next(file for file in found["component"]["files"] if file["path"] == paths.SETTINGS)
    assert "word-77" in file["content"] and (file["mode"], file["secret"]) == ("0600", True)
    tls = text.replace(".auth]", ".tls]").replace("password", "ca_file")
    (problem,) = request(fresh({CONFIG: tls}), **MIRROR)["problems"]
    assert "registry.configs.r.example.org.tls" in problem and "word-77" not in problem


def test_a_command_of_somebody_elses_is_named() -> None:
    other = {"command": "/usr/bin/containerd --config /srv/c.toml -l debug", "source": "/etc/systemd/system/x.conf"}
    (problem,) = request(host("1.7.24", commands=[other]))["problems"]
    assert problem.startswith("/etc/systemd/system/x.conf starts containerd.service as '/usr/bin/containerd --config")


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({CONFIG: 'version = 2\nimports = ["/srv/*.toml"]\n'}, f"{CONFIG}, line 2, imports /srv/*.toml, which cannot"),
        ({CONFIG: "version = 2\nroot = \n"}, f"{CONFIG} is no TOML: Invalid value (at line 2, column 8)"),
    ],
    ids=["an import elsewhere", "no TOML"],
)
def test_what_cannot_be_read_on_a_fresh_host_is_named(files: dict[str, str], says: str) -> None:
    (problem,) = request(fresh(files))["problems"]
    assert problem.startswith(says)


def test_a_file_that_containerd_refuses_is_told_in_its_words() -> None:
    (problem,) = request(host("1.7.24", site=None, problem="containerd cannot use it: no"))["problems"]
    assert problem == "containerd cannot use it: no. Nothing was changed."


def test_an_old_section_is_read_too() -> None:
    found = cri(request(fresh({CONFIG: '[plugins.cri]\nsandbox_image = "r.example.org/pause:1"\n'})))
    assert found["sandbox_image"] == "r.example.org/pause:1"
    assert "runc" in found["containerd"]["runtimes"]


@pytest.mark.parametrize("version", RELEASES)
def test_what_would_be_lost_is_named_with_file_line_and_both_values(version: str) -> None:
    configured = host(version, "imported")
    text = toml_text.render(settings(request(configured, version)))
    kept = effective(configured["site"], text)
    assert containerd_config.lost({**configured, "effective": kept}, text) == []
    broken = kept.replace("registry.example.org/pause:3.9", "other").replace("SystemdCgroup = true", "")
    found = containerd_config.lost({**configured, "effective": broken}, text)
    assert any(line.startswith(f"{DROP_IN}, line 3, sets ") and "would run with 'other'" in line for line in found)


def effective(site: str, ours: str) -> str:
    """As containerd merges them, where nothing is lost."""
    tree = tomllib.loads(site)
    for path, value in containerd_config._leaves(tomllib.loads(ours)):
        if path != ("version",):
            names = containerd_config._in_version_3(path) if tree["version"] == 3 else path
            place = tree
            for name in names[:-1]:
                place = place.setdefault(name, {})
            place[names[-1]] = value
    return toml_text.render(tree)


def test_a_setting_of_the_role_that_does_not_arrive_is_named() -> None:
    configured = host("1.7.24")
    found = containerd_config.lost({**configured, "effective": configured["site"]}, 'version = 2\nroot = "/srv"\n')
    assert found[0].startswith(f"{paths.SETTINGS} sets root to '/srv', and containerd would run with '/var/lib")


def test_a_tree_is_written_so_that_it_is_read_the_same() -> None:
    tree: dict[str, t.Any] = {
        "version": 2,
        "a.b": {'quoted "key"': "back\\slash\n\x7f\u00e9", "list": ["a", 1, True, {"x": "y"}], "float": 0.5},
        "empty": {"below": {"deep": False}},
    }
    before = copy.deepcopy(tree)
    assert tomllib.loads(toml_text.render(tree)) == before
