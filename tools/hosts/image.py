# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of bare Debian hosts: pulled from a registry where there is one, else made from this machine's apt mirror."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shutil
import ssl
import subprocess
import tarfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import certifi
import docker
import requests
from docker.errors import DockerException, ImageNotFound

from tools.hosts.apt_mirror import KEYRING, Mirror, machine_mirror
from tools.hosts.docker_engine import BUILD, ROOT, Problem, need, only_one, say

SUITES = ("bookworm", "trixie", "forky")
PULL_LIMIT_S = 15
USER = "ansible"

_CLEAN_BASE = """\
FROM {base}
COPY files/ /
# What images for containers add is not on a real host: a policy that keeps services from starting, and files left out.
RUN rm -f /usr/sbin/policy-rc.d /etc/apt/apt.conf.d/docker-* /etc/dpkg/dpkg.cfg.d/docker*
RUN export DEBIAN_FRONTEND=noninteractive \\
 && apt-get update -qq && apt-get dist-upgrade -y -qq && apt-get install -y -qq --no-install-recommends {packages} \\
 && apt-get clean
"""
# The package lists stay: check mode on a fresh host needs them, as on a real one.
_HOST = (
    _CLEAN_BASE
    + """\
RUN update-ca-certificates \\
 && systemctl mask systemd-modules-load.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \\
 && useradd --create-home --shell /bin/bash {user} \\
 && echo '{user} ALL=(ALL:ALL) NOPASSWD:ALL' > /etc/sudoers.d/{user} && chmod 0440 /etc/sudoers.d/{user} \\
 && rm -f /etc/ssh/ssh_host_* && : > /etc/machine-id
STOPSIGNAL SIGRTMIN+3
CMD ["/lib/systemd/systemd"]
"""
)
# Most of what a stock host costs a test is not the test: lists of 65,000 packages that every apt reads, files that dpkg
# writes through to the disk one by one, modules that Python compiles in every task, generators that systemd
# starts in every reload and a container has nothing for. A quick host is spared this.
_QUICK = """\
FROM {base}
COPY files/ /
RUN sh /usr/local/sbin/small-lists '{packages}' && rm /usr/local/sbin/small-lists && mkdir /var/cache/mlops-compiled \\
 && mkdir -p /etc/systemd/system-generators && cd /usr/lib/systemd/system-generators \\
 && for name in $(ls | grep -vx systemd-sysv-generator); do ln -s /dev/null /etc/systemd/system-generators/$name; done
"""
# Packages that tests install from Debian on quick hosts, as an extended regular expression each.
_LISTED = [
    *("linux-(image|headers)-.*", "nvidia-(driver|kernel-dkms|open-kernel-dkms|smi|cuda-toolkit)", "dkms", "mokutil"),
    *("dracut", "initramfs-tools", "shim-signed", "systemd-boot", "grub-pc", "binutils", "pciutils", "xz-utils"),
    *("docker.io", "docker-(buildx|cli|compose|registry)", "containerd", "runc", "crun", "conmon"),
    *("podman", "buildah", "skopeo", "netavark", "aardvark-dns", "nftables", "iptables", "busybox-static"),
    *("dnf5?", "dnf-plugins-core", "python3-(apt|debian|dnf|libdnf5|venv|yaml)", "rpm", "createrepo-c"),
    *("dpkg-dev", "apt-utils", "gnupg", "reprepro", "unattended-upgrades", "needrestart"),
    *("rsyslog.*", "syslog-ng-(core|mod-http)", "logrotate", "openssl", "apache2-utils", "haproxy", "llama.cpp"),
    *("prometheus", "prometheus-(alertmanager|node-exporter)"),
    *("acl", "curl", "wget", "rsync", "socat", "strace", "jq", "zip", "zstd", "libfaketime", "attr"),
]
# A host with kernels and a boot loader of its own, for tools/vm/: the two newest kernels that the mirror has. Its
# initramfs holds what QEMU's machine needs and no more, so that it is made and read quickly. A kernel's package would
# install GRUB where it runs, which here is a container: its images are made, and laid on the disk later.
_GUEST = (
    _HOST
    + """\
RUN export DEBIAN_FRONTEND=noninteractive \\
 && mkdir -p /etc/initramfs-tools/conf.d /usr/share/initramfs-tools/modules.d /boot/grub \\
 && echo MODULES=list >/etc/initramfs-tools/conf.d/guest \\
 && printf '%s\\n' virtio_pci virtio_blk ext4 >/usr/share/initramfs-tools/modules.d/guest \\
 && echo grub-pc grub-pc/install_devices_empty boolean true | debconf-set-selections \\
 && kernels=$(apt-cache pkgnames linux-image- | grep -E '^linux-image-[0-9.]+-[0-9]+-amd64$' | sort -V | tail -n 2) \\
 && apt-get install -y -qq --no-install-recommends \\
    $kernels $(echo $kernels | sed s/-image-/-headers-/g) linux-image-amd64 linux-headers-amd64 \\
    dkms gcc make zstd initramfs-tools grub-pc pciutils \\
 && apt-get clean && cp -r /usr/lib/grub/i386-pc /boot/grub/ \\
 && grub-mkimage -O i386-pc -o /boot/grub/core.img -p '(hd0,msdos1)/boot/grub' \\
    biosdisk part_msdos ext2 normal configfile linux search test echo
RUN for kernel in $(ls /lib/modules); do \\
    make -C /lib/modules/$kernel/build M=/usr/src/fake-gpu modules \\
 && install -D -m 0644 /usr/src/fake-gpu/fake_gpu.ko /lib/modules/$kernel/fake/fake_gpu.ko \\
 && depmod $kernel && make -C /lib/modules/$kernel/build M=/usr/src/fake-gpu clean || exit 1; done
"""
)
# What Debian's llama-server needs to run, and no more, as the layer of a container image. It loads code for its CPU by
# name, of which this is for all of amd64; busybox is for tests that look around.
LAYER = "/server-layer.tar"
_SERVER = (
    _CLEAN_BASE
    + f"""\
RUN programs="/usr/bin/llama-server $(ls /usr/lib/*/ggml/backends0/libggml-cpu-x64.so)" \\
 && libraries=$(ldd $programs | grep -v ':$' | grep -o '/[^ ]*' | sort -u) \\
 && tar --create --dereference --hard-dereference --file={LAYER} $programs $libraries /bin/busybox
"""
)
# Where ansible-builder begins, as with a public base: a Python with pip, here one that no package of Debian manages.
PYTHON = "/opt/python/bin/python3"
_EXECUTION_BASE = (
    _CLEAN_BASE
    + """\
RUN update-ca-certificates && python3 -m venv /opt/python
ENV PATH=/opt/python/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt
"""
)
_HOST_PACKAGES = [
    *("systemd", "systemd-sysv", "dbus", "udev", "kmod", "procps", "cron"),
    *("python3", "python3-apt", "sudo", "openssh-server", "iproute2", "ca-certificates"),
]
_QUICK_FILES = {
    "small_lists.sh": "usr/local/sbin/small-lists",
    "mlops_compiled.py": "usr/lib/python3/dist-packages/mlops_compiled.py",
}
_QUICK_SETTINGS = {
    "usr/lib/python3/dist-packages/mlops_compiled.pth": "import mlops_compiled\n",
    "etc/apt/apt.conf.d/12small": 'Acquire::Languages "none";\n',
    "etc/dpkg/dpkg.cfg.d/unsafe-io": "force-unsafe-io\n",
}
# Each host makes its own keys before its first sshd, as after an installation.
_SSH_KEYS = """\
[Service]
ExecStartPre=
ExecStartPre=/usr/bin/ssh-keygen -A
ExecStartPre=/usr/sbin/sshd -t
"""
# Packages are fetched once for all hosts. Their names hold their version, so that a cached one never gets old; lists
# are passed through. The lock makes hosts that ask at the same time wait for the first one's download.
_CACHE_NGINX = """\
user www-data;
worker_processes 2;
events {}
http {
  access_log off;
  error_log stderr warn;
  proxy_cache_path /var/cache/packages levels=1:2 keys_zone=packages:20m max_size=8g inactive=90d use_temp_path=off;
  resolver 127.0.0.11 valid=60s ipv6=off;
  server {
    listen 3142;
    proxy_max_temp_file_size 4096m;
    proxy_read_timeout 120s;
    proxy_http_version 1.1;
    location / { proxy_pass http://$http_host$request_uri; }
    location ~ (\\.deb$|/by-hash/) {
      proxy_pass http://$http_host$request_uri;
      proxy_cache packages;
      proxy_cache_key $http_host$uri;
      proxy_cache_valid 200 90d;
      proxy_cache_lock on;
      proxy_cache_lock_age 600s;
      proxy_cache_lock_timeout 600s;
      proxy_ignore_headers Cache-Control Expires Set-Cookie Vary;
      proxy_force_ranges on;
    }
  }
}
"""


def ensure(client: docker.DockerClient, desired: Iterable[tuple[str, bool]]) -> dict[tuple[str, bool], str]:
    """The image of each suite, stock or quick, made where it is missing; several at once."""
    pairs = sorted(set(desired))
    unknown = [suite for suite, _ in pairs if suite not in SUITES]
    if unknown:
        raise Problem(f"there is no image of {', '.join(unknown)}; suites are {', '.join(SUITES)}")
    mirror = machine_mirror()
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        return dict(zip(pairs, pool.map(lambda pair: _host(client, pair[0], pair[1], mirror), pairs)))


def ensure_cache(client: docker.DockerClient) -> str:
    """The image of the package cache that test hosts share."""
    mirror = machine_mirror()
    files = {"etc/package-cache.conf": _CACHE_NGINX}
    dockerfile = (
        _CLEAN_BASE
        + 'RUN mkdir -p /var/cache/packages\nCMD ["nginx", "-c", "/etc/package-cache.conf", "-g", "daemon off;"]\n'
    )
    return _image(client, "mlops-hosts-cache", "trixie", dockerfile, ["nginx"], files, mirror)


def ensure_guest(client: docker.DockerClient, suite: str) -> str:
    """The image whose files a virtual host of the suite has."""
    mirror = machine_mirror()
    sources = ROOT / "tools/fakes/fake_gpu"
    fake = {f"usr/src/fake-gpu/{path.name}": path.read_text() for path in sources.iterdir()}
    files = {**_host_files(), **fake}
    return _image(client, f"mlops-hosts-{suite}-guest", suite, _GUEST, _HOST_PACKAGES, files, mirror)


def ensure_server(client: docker.DockerClient) -> str:
    """The image that has the layer, at LAYER."""
    packages = ["llama.cpp-tools", "busybox-static"]
    return _image(client, "mlops-hosts-server", "forky", _SERVER, packages, {}, machine_mirror())


def ensure_execution_base(client: docker.DockerClient) -> str:
    """The image from which an execution environment is built, with Python at PYTHON."""
    packages = ["python3-venv", "ca-certificates"]
    files = _certificate_files()
    return _image(client, "mlops-hosts-ee-base", "trixie", _EXECUTION_BASE, packages, files, machine_mirror())


def _host(client: docker.DockerClient, suite: str, stock: bool, mirror: Mirror | None) -> str:
    image = _image(client, f"mlops-hosts-{suite}", suite, _HOST, _HOST_PACKAGES, _host_files(), mirror)
    if stock:
        return image
    files = {target: (ROOT / "tools/hosts/quick" / name).read_text() for name, target in _QUICK_FILES.items()}
    files |= _QUICK_SETTINGS
    return _image(client, f"mlops-hosts-{suite}-quick", suite, _QUICK, ["|".join(_LISTED)], files, mirror, base=image)


def _host_files() -> dict[str, str]:
    return {**_certificate_files(), "etc/systemd/system/ssh.service.d/keys.conf": _SSH_KEYS}


def _certificate_files() -> dict[str, str]:
    certificates = _machine_certificates()
    return {f"usr/local/share/ca-certificates/machine-{name}.crt": pem for name, pem in certificates.items()}


def _apt_files(suite: str, mirror: Mirror | None) -> dict[str, str]:
    if mirror is None:
        return {}
    return {
        "etc/apt/sources.list": "",
        "etc/apt/sources.list.d/debian.sources": mirror.stanzas(suite),
        "etc/apt/apt.conf.d/10mirror": "".join(f"{line}\n" for line in (*mirror.settings, 'Acquire::Retries "3";')),
    }


def _image(
    client: docker.DockerClient,
    name: str,
    suite: str,
    dockerfile: str,
    packages: list[str],
    files: dict[str, str],
    mirror: Mirror | None,
    base: str | None = None,
) -> str:
    """A tag of the image that is made from these; of a clean base of the suite, unless another image is its base."""
    inputs = (dockerfile, packages, sorted(files.items()), base or mirror)
    recipe = hashlib.sha256(repr(inputs).encode()).hexdigest()[:12]
    tag = f"{name}:{recipe}"
    with only_one(name):
        if _exists(client, tag):
            return tag
        begun = time.monotonic()
        settings = {} if base else _apt_files(suite, mirror)
        base = base or _base(client, suite, mirror)
        text = dockerfile.format(base=base, packages=" ".join(packages), user=USER)
        say(f"{name}: building the image")
        _build(client, tag, text, {**files, **settings})
        say(f"{name}: built in {time.monotonic() - begun:.0f} s")
        for old in {old for image in client.images.list(name) for old in image.tags} - {tag}:
            with contextlib.suppress(DockerException):  # a host may still run from it
                client.images.remove(old)
    return tag


def _build(client: docker.DockerClient, tag: str, dockerfile: str, files: dict[str, str]) -> None:
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        for path, text in {"Dockerfile": dockerfile, **{f"files/{path}": text for path, text in files.items()}}.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(text.encode()), 0o644
            tar.addfile(entry, io.BytesIO(text.encode()))
    context.seek(0)
    said: list[str] = []
    for step in client.api.build(
        fileobj=context, custom_context=True, tag=tag, rm=True, forcerm=True, decode=True, timeout=1200
    ):
        said.append(step.get("stream", "").rstrip())
        if "error" in step:
            tail = "\n".join(line for line in said if line)[-2500:]
            raise Problem(f"the image {tag} cannot be built: {step['error']}\n{tail}")


def _base(client: docker.DockerClient, suite: str, mirror: Mirror | None) -> str:
    """A minimal system of the suite."""
    with only_one(f"base-{suite}"):
        for known in (f"mlops-hosts-base:{suite}", f"debian:{suite}"):
            if _exists(client, known):
                return known
        try:
            quick = docker.from_env(timeout=PULL_LIMIT_S)
            quick.images.pull("debian", tag=suite)
            say(f"{suite}: pulled debian:{suite}")
            return f"debian:{suite}"
        except (DockerException, requests.RequestException):
            say(f"{suite}: no registry answers; making the base with debootstrap")
        if mirror is None:
            raise Problem(
                f"debian:{suite} cannot be pulled, and this machine is no Debian whose mirror could be used instead"
            )
        _debootstrap(client, suite, mirror)
        return f"mlops-hosts-base:{suite}"


def _debootstrap(client: docker.DockerClient, suite: str, mirror: Mirror) -> None:
    if os.geteuid() != 0:
        raise Problem("debootstrap needs root: run this as root, or make debian images available to Docker")
    with only_one("packages"):
        need({"debootstrap": "debootstrap"})
    target = BUILD / f"debootstrap-{suite}"
    shutil.rmtree(target, ignore_errors=True)
    argv = [
        "debootstrap",
        "--variant=minbase",
        "--include=ca-certificates",
        f"--keyring={KEYRING}",
        suite,
        str(target),
        mirror.main,
    ]
    scripts = Path("/usr/share/debootstrap/scripts")
    if not (scripts / suite).exists():
        argv.append(str(scripts / "sid"))
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode:
        raise Problem(f"debootstrap of {suite} failed: {(done.stdout + done.stderr).strip()[-1500:]}")
    with subprocess.Popen(["tar", "-C", str(target), "-c", "."], stdout=subprocess.PIPE) as tar:
        client.api.import_image(src=tar.stdout, repository="mlops-hosts-base", tag=suite)
    shutil.rmtree(target)


def _exists(client: docker.DockerClient, tag: str) -> bool:
    try:
        client.images.get(tag)
    except ImageNotFound:
        return False
    return True


def _machine_certificates() -> dict[str, str]:
    """Authorities that this machine trusts and the public list does not have, by a short name."""
    bundle = (
        os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt"
    )
    if not Path(bundle).exists():
        return {}
    public = set(_certificates(certifi.contents()))
    own = [pem for pem in _certificates(Path(bundle).read_text()) if pem not in public]
    return {hashlib.sha256(pem.encode()).hexdigest()[:8]: pem for pem in own}


def _certificates(text: str) -> list[str]:
    """Each certificate of a bundle in one spelling, so that two bundles can be compared."""
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    parts = [part.partition(end)[0] for part in text.split(begin)[1:]]
    return [ssl.DER_cert_to_PEM_cert(ssl.PEM_cert_to_DER_cert(f"{begin}{part}{end}")) for part in parts]
