# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Reads what there is to know of the GPUs of a host again and again, and writes it for Prometheus.

Each source is read by a thread of its own: a driver can hang with its GPU, and a process that waits for it cannot even
be killed. A source that fails or is silent has no values on the page, old ones neither, and the page says so.
"""

from __future__ import annotations

import dataclasses
import os
import re
import sys
import threading
import time
import typing as t

from .. import _text_file
from .._errors import HostError
from .._exposition import Page
from .._gpu import pci
from .._gpu.report import Report
from .._http import Fetch
from .._http_plain import PlainFetch
from .._runner import Runner, Running
from . import gpus, host, tell
from .config import Config
from .families import FAMILIES
from .probes import Prober

STATE_DIR = "/var/lib/mlops-gpu-metrics"
TEXTFILE = "gpu_metrics.prom"
# What is dear and seldom differs; what tells that it does is looked at in each interval.
DRIVER_S, CDI_S = 3600, 900
# Values that come at the same time are written once.
_GATHER_S = 0.2
_DEVICES = re.compile(r"^ *\d+ ((?:nvidia|kfd|drm)\S*)$", re.MULTILINE)
T = t.TypeVar("T")


@dataclasses.dataclass
class _Told(t.Generic[T]):
    """The last answer of a source; ``value`` is None where it failed."""

    value: T | None = None
    at: float = 0.0
    since_epoch: float | None = None


class Source(t.Generic[T]):
    """``read`` waits for the next answer itself where ``every_s`` is 0. After ``patience_s`` without one, it is silent.

    ``tell`` puts a value on the page. ``changed`` is set when there is another answer than before.
    """

    def __init__(
        self,
        name: str,
        read: t.Callable[[], T],
        tell_value: t.Callable[[Page, T], None],
        *,
        every_s: float,
        patience_s: float,
        changed: threading.Event,
        stopping: threading.Event,
    ) -> None:
        self.name, self._read, self._tell = name, read, tell_value
        self._every_s, self._patience_s = every_s, patience_s
        self._changed, self._stopping = changed, stopping
        self._told: _Told[T] = _Told(at=time.monotonic())
        self.is_new = True
        self._said = ""

    @property
    def value(self) -> T | None:
        return self._told.value if self._is_fresh() else None

    def follow(self) -> None:
        """Until the service stops."""
        while not self._stopping.is_set():
            self.read_once()
            self._stopping.wait(self._every_s)

    def read_once(self) -> None:
        before, value, said = self._told, None, ""
        try:
            value = self._read()
        except (HostError, OSError) as exc:
            said = str(exc)
        if said and said != self._said:
            sys.stderr.write(f"{said}\n")
        self._said = said
        since = before.since_epoch if value is None else time.time()
        self._told, was_new, self.is_new = _Told(value, time.monotonic(), since), self.is_new, False
        if was_new or value != before.value:
            self._changed.set()

    def add_to(self, page: Page) -> None:
        told = self._told
        if self.is_new and self._is_fresh():
            return  # it has just begun
        value = told.value if self._is_fresh() else None
        page.add("mlops_gpu_metrics_read_success", value is not None, source=self.name)
        page.add("mlops_gpu_metrics_read_timestamp_seconds", told.since_epoch, source=self.name)
        if value is not None:
            self._tell(page, value)

    def _is_fresh(self) -> bool:
        return time.monotonic() - self._told.at <= self._patience_s


class Service:
    """``run`` and ``stream`` start programs, ``fetch`` asks model servers."""

    def __init__(
        self,
        config: Config,
        *,
        state_dir: str = STATE_DIR,
        run: Runner,
        stream: t.Callable[..., Running] = Running,
        fetch: Fetch | None = None,
        sysfs_root: str = "/sys",
    ) -> None:
        self._config, self._sysfs = config, sysfs_root
        self._path = os.path.join(state_dir, TEXTFILE)
        self._changed, self._stopping = threading.Event(), threading.Event()
        every_s = config.interval_s
        self._gpus: Source[gpus.Gpus] = self._source(
            "gpu",
            gpus.Source(every_s, run=run, wait=self._stopping.wait, stream=stream, sysfs_root=sysfs_root).read,
            tell.tell_gpus,
            every_s=0,
            patience_s=2 * every_s + 5,
        )
        driver = host.Rarely(lambda: host.read_driver(run), host.sign_of_driver, every_s=DRIVER_S)
        cdi = host.Rarely(
            lambda: host.read_cdi(self._report()), lambda: host.sign_of_cdi(self._report()), every_s=CDI_S
        )
        self._sources: list[Source[t.Any]] = [
            self._gpus,
            self._source("driver", driver, tell.tell_driver, every_s=every_s),
            self._source("cdi", cdi, tell.tell_cdi, every_s=every_s),
        ]
        if config.certificates:
            read = host.Rarely(
                lambda: host.read_certificates(config.certificates),
                lambda: host.signs(config.certificates),
                every_s=CDI_S,
            )
            self._sources.append(self._source("certificates", read, tell.tell_certificates, every_s=every_s))
        if config.stores:
            self._sources.append(
                self._source("store", lambda: host.read_rooms(config.stores), tell.tell_rooms, every_s=every_s)
            )

        if config.probes:
            prober = Prober(config.probes, fetch=fetch or PlainFetch(), wait=self._stopping.wait)
            self._sources.append(
                self._source("probe", prober.read, tell.tell_probes, every_s=0, patience_s=prober.patience_s)
            )

    def _source(
        self,
        name: str,
        read: t.Callable[[], T],
        tell_value: t.Callable[[Page, T], None],
        *,
        every_s: float,
        patience_s: float | None = None,
    ) -> Source[T]:
        return Source(
            name,
            read,
            tell_value,
            every_s=every_s,
            # A first answer on the driver can take a while.
            patience_s=2 * every_s + 60 if patience_s is None else patience_s,
            changed=self._changed,
            stopping=self._stopping,
        )

    def stop(self) -> None:
        """Safe in a signal handler: follow() ends."""
        self._stopping.set()
        self._changed.set()

    def follow(self) -> None:
        """Until stop(), or until a driver is there whose devices systemd has to let this service have first.

        OSError when the page cannot be written.
        """
        devices = self._devices()
        for source in self._sources:
            threading.Thread(target=source.follow, name=source.name, daemon=True).start()
        while True:
            # Also when nothing is told: its time shows that the service runs.
            self._changed.wait(self._config.interval_s)
            self._stopping.wait(_GATHER_S)
            if self._stopping.is_set():
                return
            self._changed.clear()
            _text_file.write(self._path, self.page())
            if self._devices() != devices:
                sys.stderr.write("A GPU driver was loaded or unloaded: the service ends, to get its devices anew\n")
                return

    def page(self) -> str:
        page = Page(FAMILIES)
        for source in self._sources:
            source.add_to(page)
        # The bus is there without a driver that answers.
        expected = (
            sum(not device.is_virtual_function for device in pci.scan(self._sysfs)) if not self._gpus.value else None
        )
        page.add("mlops_gpu_expected_devices", expected)
        return page.text()

    def _report(self) -> Report:
        """HostError where the GPUs are not known; their first answer is waited for."""
        while self._gpus.is_new and not self._stopping.is_set():
            self._stopping.wait(1)
        known = self._gpus.value
        if known is None:
            raise HostError("the GPUs must be known to tell whether CDI fits them, and their driver does not answer")
        return known.report

    def _devices(self) -> list[str]:
        return _DEVICES.findall(_text_file.read("/proc/devices"))
