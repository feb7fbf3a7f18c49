# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Installed kernels, their modules, what DKMS did, and which one boots next."""

from __future__ import annotations

import os

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._driver import boot, dkms, kernels, versions
from ansible_collections.mlops.hosts.plugins.module_utils._driver.modules import chosen
from ansible_collections.mlops.hosts.plugins.module_utils._driver.types import Dkms
from ansible_collections.mlops.hosts.plugins.module_utils._errors import CommandError
from ansible_collections.mlops.hosts.plugins.module_utils._runner import Completed
from ansible_collections.mlops.hosts.tests.unit.fakes import RecordedHost, Told

from .support import DEBIAN_12, DEBIAN_13, dkms_has, kernel_on_disk, recorded, recorded_tree, write

OLDER = "6.1.0-55-amd64"
BUILT_12, BUILT_13 = "updates/dkms/nvidia-current.ko", "updates/dkms/nvidia-current.ko.xz"


class At(RecordedHost):
    """modinfo says the path that it was given; what is recorded has that of the host."""

    def __init__(self, root, **names):
        super().__init__(**names)
        self.root = root

    def __call__(self, *argv, **options):
        done = super().__call__(*argv, **options)
        text = done.stdout.replace("filename:       /", f"filename:       {self.root}/")
        return type(done)(argv, done.rc, text, done.stderr)


def read(root, run, next_boot=None, vendor="nvidia"):
    return kernels.read(str(root), vendor, kernels.installed(str(root)), next_boot, run, 30)


@pytest.mark.parametrize(
    ("release", "module", "suite", "version"),
    [(DEBIAN_12, BUILT_12, "bookworm", "535.309.01"), (DEBIAN_13, BUILT_13, "trixie", "550.163.01")],
)
def test_debian(tmp_path, release, module, suite, version):
    kernel_on_disk(tmp_path, release, module)
    dkms_has(tmp_path, "nvidia-current", version, release)
    write(tmp_path, "etc/nvidia/nvidia-modprobe.conf", "install nvidia modprobe -i nvidia-current $CMDLINE_OPTS\n")
    write(tmp_path, "proc/sys/kernel/osrelease", f"{release}\n")
    run = At(tmp_path, modinfo=suite)
    (found,) = read(tmp_path, run, next_boot=release)
    assert len(run.calls) == 1
    assert (found.release, found.running, found.next_boot, found.headers) == (release, True, True, True)
    assert found.dkms == Dkms(version, "installed")
    assert (found.module.version, found.module.flavour) == (version, "proprietary")
    assert (found.module.signer, found.module.origin) == ("DKMS module signing key", "dkms")
    assert found.module.path == f"/lib/modules/{release}/{module}"


def test_one_process_however_many_kernels_there_are(tmp_path):
    for release in (OLDER, DEBIAN_12, "6.1.0-54-amd64"):
        kernel_on_disk(tmp_path, release, BUILT_12)
    run = At(tmp_path, modinfo="bookworm")
    assert [kernel.release for kernel in read(tmp_path, run)] == ["6.1.0-54-amd64", OLDER, DEBIAN_12]
    assert [len(call) for call in run.calls] == [4]


def test_nothing_is_asked_where_there_is_nothing(tmp_path):
    kernel_on_disk(tmp_path, DEBIAN_12, headers=False)
    run = RecordedHost()
    (found,) = read(tmp_path, run)
    assert (found.module, found.dkms, found.headers, run.calls) == (None, None, False, [])


def test_what_is_no_installed_kernel(tmp_path):
    kernel_on_disk(tmp_path, DEBIAN_12)
    # What a removed kernel leaves of DKMS, EL's rescue image, and a link.
    write(tmp_path, "lib/modules/6.1.0-40-amd64/updates/dkms/nvidia-current.ko")
    write(tmp_path, "boot/vmlinuz-0-rescue-0123456789abcdef0123456789abcdef")
    (tmp_path / "boot/vmlinuz").symlink_to(f"vmlinuz-{DEBIAN_12}")
    assert kernels.installed(str(tmp_path)) == (DEBIAN_12,)


def test_el_has_the_image_beside_the_modules(tmp_path):
    write(tmp_path, "lib/modules/5.14.0-570.12.1.el9_6.x86_64/vmlinuz")
    write(tmp_path, "lib/modules/5.14.0-70.13.1.el9_0.x86_64/vmlinuz")
    assert kernels.installed(str(tmp_path)) == ("5.14.0-70.13.1.el9_0.x86_64", "5.14.0-570.12.1.el9_6.x86_64")


def test_headers_are_a_link_that_leads_somewhere(tmp_path):
    kernel_on_disk(tmp_path, DEBIAN_12)
    os.remove(tmp_path / f"usr/src/linux-headers-{DEBIAN_12}/Makefile")
    assert [kernel.headers for kernel in read(tmp_path, RecordedHost())] == [False]


def test_usr_merge(tmp_path):
    kernel_on_disk(tmp_path / "usr", DEBIAN_13, headers=False)
    (tmp_path / "lib").symlink_to("usr/lib")
    (tmp_path / f"usr/lib/modules/{DEBIAN_13}/build").symlink_to(f"../../../src/linux-headers-{DEBIAN_13}")
    write(tmp_path, f"usr/src/linux-headers-{DEBIAN_13}/Makefile")
    assert [kernel.headers for kernel in read(tmp_path, RecordedHost())] == [True]


def test_a_folder_of_modules_without_a_list_is_searched(tmp_path):
    kernel_on_disk(tmp_path, DEBIAN_12, BUILT_12)
    os.remove(tmp_path / f"lib/modules/{DEBIAN_12}/modules.dep")
    assert read(tmp_path, At(tmp_path, modinfo="bookworm"))[0].module.version == "535.309.01"


def modinfo(root, release, path, **fields):
    lines = "".join(f"{name}:        {value}\n" for name, value in fields.items())
    return Told(modinfo=f"filename:       {root}/lib/modules/{release}/{path}\n{lines}")


@pytest.mark.parametrize(
    ("path", "fields", "seen"),
    [
        pytest.param(
            "kernel/nvidia-580srv-open/nvidia.ko",
            {"version": "580.178.04", "license": "Dual MIT/GPL", "signer": "Canonical Ltd. Kernel Module Signing"},
            ("580.178.04", "open", "Canonical Ltd. Kernel Module Signing", "prebuilt"),
            id="Ubuntu's, signed by Canonical",
        ),
        pytest.param(
            "extra/nvidia.ko.xz",
            {"version": "595.71.05", "license": "Dual MIT/GPL", "signer": "Nvidia GPU OOT CA"},
            ("595.71.05", "open", "Nvidia GPU OOT CA", "prebuilt"),
            id="Red Hat's, compressed",
        ),
        pytest.param(
            "weak-updates/nvidia/nvidia.ko",
            {"version": "580.178.04", "license": "NVIDIA"},
            ("580.178.04", "proprietary", None, "prebuilt"),
            id="EL's for another kernel, not signed",
        ),
        pytest.param(
            "updates/dkms/nvidia.ko.zst",
            {"version": "580.178.04", "license": "NVIDIA"},
            ("580.178.04", "proprietary", None, "dkms"),
            id="what DKMS has built and not signed",
        ),
    ],
)
def test_modules(tmp_path, path, fields, seen):
    kernel_on_disk(tmp_path, DEBIAN_12, path)
    found = read(tmp_path, modinfo(tmp_path, DEBIAN_12, path, **fields))[0].module
    assert (found.version, found.flavour, found.signer, found.origin) == seen


@pytest.mark.parametrize(
    "name",
    ["nvidia-drm.ko", "nvidia-current-uvm.ko", "nvidia-peermem.ko.xz", "nvidiafb.ko", "nvidia-wmi-ec-backlight.ko"],
)
def test_modules_that_are_not_the_driver(tmp_path, name):
    kernel_on_disk(tmp_path, DEBIAN_12, f"updates/dkms/{name}")
    assert read(tmp_path, RecordedHost())[0].module is None


def test_modules_that_could_not_be_asked_about_are_not_absent(tmp_path):
    kernel_on_disk(tmp_path, DEBIAN_12, BUILT_12)
    with pytest.raises(CommandError, match="the driver's modules could not be read: modinfo did not end in time"):
        read(tmp_path, lambda *argv, timeout_s=None, stdin=None: Completed(argv, 124, "", "", timed_out=True))
    with pytest.raises(CommandError, match="the driver's modules could not be read"):
        read(tmp_path, RecordedHost())


def test_a_list_that_is_older_than_the_removal(tmp_path):
    kernel_on_disk(tmp_path, DEBIAN_12, BUILT_12)
    os.remove(tmp_path / f"lib/modules/{DEBIAN_12}/{BUILT_12}")
    assert read(tmp_path, RecordedHost())[0].module is None


@pytest.mark.parametrize("name", ["nvidia-current", "nvidia-current-open"])
def test_of_two_modules_the_one_that_modprobe_would_load(tmp_path, name):
    for file in ("nvidia-current", "nvidia-current-open"):
        kernel_on_disk(tmp_path / file, DEBIAN_13, f"updates/dkms/{file}.ko.xz", headers=False)
    kernel_on_disk(tmp_path, DEBIAN_13, headers=False)
    both = [f"updates/dkms/{file}.ko.xz" for file in ("nvidia-current", "nvidia-current-open")]
    for path in both:
        write(tmp_path, f"lib/modules/{DEBIAN_13}/{path}")
    write(tmp_path, f"lib/modules/{DEBIAN_13}/modules.dep", "".join(f"{path}:\n" for path in both))
    write(tmp_path, "etc/modprobe.d/nvidia.conf", f"install nvidia modprobe -i {name} $CMDLINE_OPTS\n")
    run = RecordedHost(modinfo="trixie")
    read(tmp_path, run)
    assert [os.path.basename(path) for path in run.calls[0][1:]] == [f"{name}.ko.xz"]


def test_amd_takes_what_dkms_built_before_the_kernel_s_own(tmp_path):
    own = "kernel/drivers/gpu/drm/amd/amdgpu/amdgpu.ko.zst"
    kernel_on_disk(tmp_path, DEBIAN_12, own)
    run = modinfo(tmp_path, DEBIAN_12, own, license="GPL and additional rights", intree="Y")
    found = read(tmp_path, run, vendor="amd")[0].module
    assert (found.version, found.flavour, found.origin) == (None, None, "kernel")


def known(root, vendor="nvidia", chosen="nvidia-current"):
    return dkms.read(str(root), vendor, chosen)


def test_dkms_has_it_and_has_not_built_it(tmp_path):
    recorded_tree(tmp_path, "dkms/tree-bookworm.find", "var/lib/dkms")
    assert known(tmp_path).of(str(tmp_path), DEBIAN_12) == Dkms("535.309.01", "added")


def test_dkms_has_installed_it(tmp_path):
    recorded_tree(tmp_path, "dkms/tree-trixie.find", "var/lib/dkms")
    found = known(tmp_path)
    assert found.of(str(tmp_path), DEBIAN_13) == Dkms("550.163.01", "installed")
    assert found.of(str(tmp_path), DEBIAN_12) == Dkms("550.163.01", "added")


def test_of_two_names_the_one_that_modprobe_would_load_counts(tmp_path):
    recorded_tree(tmp_path, "dkms/tree-trixie.find", "var/lib/dkms")
    assert known(tmp_path, chosen="nvidia-current-open").of(str(tmp_path), DEBIAN_13) == Dkms("550.163.01", "added")


@pytest.mark.parametrize(
    ("log", "tree", "name", "version", "release", "words"),
    [
        (
            "make-simulated-error.log", "tree-bookworm.find", "nvidia-current", "535.309.01", OLDER,
            "error: simulated: this driver does not know this kernel",
        ),
        (
            "make-trixie-open-shortened.log", "tree-trixie.find", "nvidia-current-open", "550.163.01", DEBIAN_13,
            "/var/lib/dkms/nvidia-current-open/550.163.01/build/nvidia/nv-pci.c:237:9: error: too few arguments to "
            "function 'pci_resize_resource'",
        ),
    ],
)  # fmt: skip
def test_a_build_that_failed(tmp_path, log, tree, name, version, release, words):
    recorded_tree(tmp_path, f"dkms/{tree}", "var/lib/dkms")
    write(tmp_path, f"var/lib/dkms/{name}/{version}/build/make.log", recorded(f"dkms/{log}"))
    found = known(tmp_path, chosen=name)
    assert found.of(str(tmp_path), release) == Dkms(version, "failed", words)
    # The log is of one kernel.
    assert found.of(str(tmp_path), "6.1.0-54-amd64") == Dkms(version, "added")


def test_the_newest_version_counts_and_what_is_no_driver_does_not(tmp_path):
    dkms_has(tmp_path, "nvidia", "570.211.01", DEBIAN_12)
    dkms_has(tmp_path, "nvidia", "580.178.04", DEBIAN_12, OLDER, installed=False)
    dkms_has(tmp_path, "nvidia-fs", "999.1", DEBIAN_12)
    found = known(tmp_path, chosen="nvidia")
    assert found.of(str(tmp_path), DEBIAN_12) == Dkms("580.178.04", "built")
    assert found.of(str(tmp_path), DEBIAN_13) == Dkms("580.178.04", "added")


def test_no_driver_in_dkms(tmp_path):
    dkms_has(tmp_path, "zfs", "2.3", DEBIAN_12)
    assert known(tmp_path).of(str(tmp_path), DEBIAN_12) is None


def test_amd_s_dkms(tmp_path):
    dkms_has(tmp_path, "amdgpu", "6.12.12-2187269.24.04", DEBIAN_12)
    found = known(tmp_path, "amd", "amdgpu")
    assert found.of(str(tmp_path), DEBIAN_12) == Dkms("6.12.12-2187269.24.04", "installed")


ADVANCED = "gnulinux-advanced-11111111-2222-3333-4444-555555555555"
OLD_ID = "gnulinux-6.1.0-55-amd64-advanced-11111111-2222-3333-4444-555555555555"


@pytest.mark.parametrize(
    ("config", "environment", "release"),
    [
        ("bookworm-probe-fake.cfg", "", DEBIAN_12),
        ("bookworm-saved-probe-fake.cfg", "", DEBIAN_12),
        ("bookworm-saved-probe-fake.cfg", f"saved_entry={ADVANCED}>{OLD_ID}\n", OLDER),
        ("bookworm-probe-fake.cfg", f"saved_entry={ADVANCED}>{OLD_ID}\n", DEBIAN_12),
        ("bookworm-probe-fake.cfg", f"next_entry={ADVANCED}>{OLD_ID}\n", OLDER),
        ("bookworm-probe-fake.cfg", "next_entry=1>2\n", OLDER),
        (
            "bookworm-probe-fake.cfg",
            "next_entry=Advanced options for Debian GNU/Linux>Debian GNU/Linux, with Linux 6.1.0-55-amd64\n",
            OLDER,
        ),
        # GRUB falls back to the first entry, too.
        ("bookworm-probe-fake.cfg", "next_entry=gone\n", DEBIAN_12),
        ("bookworm-probe-fake.cfg", "next_entry=1\n", DEBIAN_12),
    ],
)
def test_grub(tmp_path, config, environment, release):
    write(tmp_path, "boot/grub/grub.cfg", recorded(f"grub/{config}"))
    write(tmp_path, "boot/grub/grubenv", environment)
    assert boot.next_kernel(str(tmp_path), (OLDER, DEBIAN_12)) == (release, "grub")


def test_grub_s_environment_as_it_is_written(tmp_path):
    write(tmp_path, "boot/grub/grub.cfg", recorded("grub/bookworm-saved-probe-fake.cfg"))
    write(tmp_path, "boot/grub/grubenv", recorded("grub/grubenv-saved"))
    assert boot.next_kernel(str(tmp_path), (OLDER, DEBIAN_12)) == (OLDER, "grub")


def test_what_boots_is_no_linux(tmp_path):
    write(tmp_path, "boot/grub/grub.cfg", "set default=\"0\"\nmenuentry 'Windows' {\n\tchainloader +1\n}\n")
    assert boot.next_kernel(str(tmp_path), (DEBIAN_12,)) == (None, "grub")


EL_OLD, EL_NEW = "5.14.0-70.13.1.el9_0.x86_64", "5.14.0-570.12.1.el9_6.x86_64"
EL_GRUB = (
    'if [ "${next_entry}" ] ; then\n   set default="${next_entry}"\nelse\n   set default="${saved_entry}"\nfi\nblscfg\n'
)


def entries(root, folder="boot"):
    """The lines that are read, as the Boot Loader Specification has them: EL was not at hand."""
    for release in (EL_OLD, EL_NEW, "0-rescue-0123456789abcdef"):
        text = f"title Rocky Linux ({release})\nversion {release}\nlinux /vmlinuz-{release}\n"
        write(root, f"{folder}/loader/entries/0123456789abcdef-{release}.conf", text)


@pytest.mark.parametrize(
    ("saved", "release"),
    [("", EL_NEW), (f"saved_entry=0123456789abcdef-{EL_OLD}\n", EL_OLD), ("saved_entry=1\n", EL_OLD)],
)
def test_el_s_grub(tmp_path, saved, release):
    write(tmp_path, "boot/grub2/grub.cfg", EL_GRUB)
    write(tmp_path, "boot/grub2/grubenv", saved)
    entries(tmp_path)
    assert boot.next_kernel(str(tmp_path), (EL_OLD, EL_NEW)) == (release, "grub")


@pytest.mark.parametrize(
    ("config", "release"),
    [
        ("timeout 3\n", EL_NEW),
        (f"default *-{EL_OLD}.conf\n", EL_OLD),
        (f"timeout 3\n \tdefault\t *-{EL_OLD}.conf \n", EL_OLD),
        (f"#default *-{EL_OLD}.conf\ndefault @saved\n", EL_NEW),
    ],
)
def test_systemd_boot(tmp_path, config, release):
    write(tmp_path, "boot/efi/loader/loader.conf", config)
    entries(tmp_path, "boot/efi")
    assert boot.next_kernel(str(tmp_path), (EL_OLD, EL_NEW)) == (release, "loader")


def test_the_newest_image(tmp_path):
    kernel_on_disk(tmp_path, OLDER)
    write(tmp_path, f"lib/modules/{DEBIAN_12}/kernel/x")
    # A folder of modules does not boot.
    assert boot.next_kernel(str(tmp_path), (OLDER, DEBIAN_12)) == (OLDER, "newest")
    assert boot.next_kernel(str(tmp_path / "none"), ()) == (None, None)


def test_order_of_releases():
    right = [
        "6.1.0-9-amd64",
        "6.1.0-40-amd64",
        "6.1.0-56-amd64",
        "6.12~rc4-amd64",
        "6.12-amd64",
        "6.12.118+deb13-amd64",
    ]
    assert sorted(reversed(right), key=versions.order) == right


def test_the_alternative_counts_where_modprobe_is_not_configured(tmp_path):
    assert chosen(str(tmp_path), "nvidia") == "nvidia"
    write(
        tmp_path, "etc/nvidia/current/nvidia-modprobe.conf", "install nvidia modprobe -i nvidia-current $CMDLINE_OPTS\n"
    )
    (tmp_path / "etc/nvidia/nvidia-modprobe.conf").symlink_to("/etc/nvidia/current/nvidia-modprobe.conf")
    assert chosen(str(tmp_path), "nvidia") == "nvidia-current"
    assert chosen(str(tmp_path), "amd") == "amdgpu"


INSTALL = "install nvidia modprobe -i nvidia-current $CMDLINE_OPTS\n"
OLD = "install nvidia modprobe -i nvidia-tesla $CMDLINE_OPTS\n"


@pytest.mark.parametrize(
    "configured",
    [
        pytest.param({"etc/modprobe.d/a.conf": INSTALL.replace(" ", "\t ")}, id="spaces"),
        pytest.param(
            {"etc/modprobe.d/a.conf": INSTALL.replace("modprobe -i", "/sbin/modprobe \\\n --ignore-install")},
            id="continued",
        ),
        pytest.param(
            {"etc/modprobe.d/a.conf": f"# note\n\ninstall nvidia-drm x\nalias nvidia off\n{INSTALL}"}, id="others"
        ),
        pytest.param({"etc/modprobe.d/a.conf": "alias nvidia nvidia-current\n"}, id="alias"),
        pytest.param({"etc/modprobe.d/a.conf.dpkg-old": OLD, "etc/modprobe.d/b.conf": INSTALL}, id="left-over"),
        pytest.param({"run/modprobe.d/b.conf": INSTALL}, id="run"),
        pytest.param({"etc/modprobe.d/b.conf": INSTALL, "lib/modprobe.d/b.conf": OLD}, id="overridden"),
        pytest.param({"etc/modprobe.d/z.conf": OLD, "lib/modprobe.d/a.conf": INSTALL}, id="by-name"),
        pytest.param(
            {"etc/modprobe.d/a.conf": "", "lib/modprobe.d/a.conf": OLD, "etc/nvidia/n.conf": INSTALL}, id="masked"
        ),
    ],
)
def test_modprobe_is_configured_by_its_own_rules(tmp_path, configured):
    for path, text in configured.items():
        write(tmp_path, path, text)
    assert chosen(str(tmp_path), "nvidia") == "nvidia-current"


@pytest.mark.parametrize(
    ("version", "desired", "fits"),
    [
        ("580.95.05", "580", True),
        ("580.95.05", "580.95.05", True),
        ("580.95.05", "58", False),
        (None, "580", False),
        ("7.1.3.31500000", "31.50", True),
        ("6.16.6.30200100", "30.20.1", True),
        ("6.16.6.30200100", "30.2", False),
        ("6.16.6.30200100", "31.50", False),
    ],
)
def test_a_version_that_is_desired(version, desired, fits):
    assert versions.fits(version, desired) is fits
