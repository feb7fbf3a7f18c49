# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import hashlib
import json
import os
import pathlib
import stat
import types

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._holders import Holder
from ansible_collections.mlops.hosts.plugins.module_utils._lock import locked
from ansible_collections.mlops.hosts.plugins.module_utils._python_environment import environment as environment_module
from ansible_collections.mlops.hosts.plugins.module_utils._python_environment import interpreter, paths
from ansible_collections.mlops.hosts.plugins.module_utils._python_environment.environments import MARKER, unit_files
from ansible_collections.mlops.hosts.plugins.module_utils._runner import Completed
from ansible_collections.mlops.hosts.tests.unit.fake_python import DEMO, SET

NEXT = SET.replace("2.0+cpu", "2.1")
SERVER = Holder(812, "vllm", "chat.service")


class Killed(BaseException):
    """A process that is killed runs nothing any more."""


def later(path, seconds):
    """Its marker was written later than those of others, as a clock would have it."""
    there = os.stat(os.path.join(path, MARKER))
    os.utime(os.path.join(path, MARKER), (there.st_atime, there.st_mtime + seconds))


def test_an_environment_comes_stays_and_goes(bench):
    planned = bench(check=True)
    assert not bench.base.exists()
    done = bench()
    assert planned == done and done["changed"]
    assert done["packages"] == [{"name": "demo", "version": "1.0"}, {"name": "the-dep", "version": "2.0+cpu"}]
    assert done["path"] == paths.path(str(bench.base), "vllm", SET, "3.11") and os.path.isdir(done["path"])
    assert done["python"] == f"{done['path']}/bin/python"
    assert done["diff"] == {"before": {}, "after": {"demo": "1.0", "the-dep": "2.0+cpu"}}
    assert done["drift"] == [
        {
            "kind": "python_environment",
            "item": "vllm",
            "attribute": "version",
            "want": os.path.basename(done["path"]),
            "have": None,
        }
    ]
    calls = len(bench.run.calls)
    again = bench(f"# a comment\n{SET}")
    assert again == {**done, "changed": False, "drift": [], "diff": {"before": {}, "after": {}}}
    assert len(bench.run.calls) == calls, "nothing is started on a host that is right"
    going = bench(state="absent", requirements=None, check=True)
    assert bench.there == [os.path.basename(done["path"])]
    gone = bench(state="absent", requirements=None)
    assert gone == going and gone["removed"] == [done["path"]] and gone["path"] is None
    assert bench.base.exists() and not (bench.base / "vllm").exists()
    assert not bench(state="absent", requirements=None)["changed"]
    assert planned.keys() == done.keys() == again.keys() == gone.keys()


def test_an_environment_holds_its_set_and_nothing_of_its_making(bench):
    done = bench(index_url="https://reader:hush@index/simple")
    assert bench.run.seen["tool"] == "pip", "what else is there would count as installed"
    assert "index-url = https://reader:hush@index/simple\n" in bench.run.seen["pip.conf"]
    assert bench.run.seen["requirements.txt"] == SET.replace("the.dep", "the-dep")
    assert not any("hush" in word for argv in bench.run.calls for word in argv)
    assert sorted(os.listdir(done["path"])) == [MARKER, "bin", "lib"]
    assert "hush" not in pathlib.Path(done["path"], MARKER).read_text()


def test_what_may_hold_a_password_is_for_root_alone_while_it_is_there(bench, monkeypatch):
    modes = []

    def install(argv):
        work = pathlib.Path(next(word for word in argv if word.startswith("TMPDIR="))[7:]).parent
        modes.extend(stat.S_IMODE(path.stat().st_mode) for path in (work, work / "pip.conf"))
        raise Killed

    monkeypatch.setattr(bench.run, "install", install)
    with pytest.raises(Killed):
        bench(index_url="https://index/simple")
    assert modes == [0o700, 0o600]


def test_a_set_that_changes_is_a_new_folder_beside_the_earlier_one(bench):
    first = bench()
    second = bench(NEXT)
    assert second["diff"]["before"] == {"demo": "1.0", "the-dep": "2.0+cpu"}
    assert second["diff"]["after"] == {"demo": "1.0", "the-dep": "2.1"}
    assert second["drift"][0]["have"] == os.path.basename(first["path"])
    assert second["removed"] == [] and len(bench.there) == 2
    later(second["path"], 10)
    third = bench(DEMO)
    assert third["removed"] == [first["path"]], "the newest of the earlier ones stays"
    back = bench(NEXT)
    assert not back["changed"] and back["path"] == second["path"]


def test_another_python_is_another_environment(bench):
    first = bench()["path"]
    other = bench.python.with_name("python3.12")
    bench.python.rename(other)
    bench.python, bench.run.version = other, "3.12"
    assert bench()["path"] != first


@pytest.mark.parametrize("by", ["process", "unit"])
def test_an_earlier_one_that_is_used_stays_until_it_is_not(bench, by):
    first = bench()["path"]
    if by == "process":
        bench.holders = {first: (SERVER,)}
    else:
        bench.units = {"/etc/systemd/system/chat.service": f"ExecStart={first}/bin/vllm serve\n"}
    assert bench(NEXT, keep=0)["removed"] == []
    assert not bench(NEXT, keep=0)["changed"]
    said = bench.refused(state="absent")
    who = "vllm (pid 812, chat.service)" if by == "process" else "/etc/systemd/system/chat.service"
    assert said == f"the environment {first} is to go, and {who} uses it; take that away first"
    bench.holders, bench.units = {}, {}
    assert bench(NEXT, keep=0)["removed"] == [first]


STEPS = ["venv", "install", "check", "sync"]


@pytest.mark.parametrize("step", STEPS)
def test_a_run_that_is_killed_leaves_nothing_that_looks_complete(bench, step, monkeypatch):
    earlier = bench(NEXT)
    # What cleans up does not run in a process that is killed.
    monkeypatch.setattr(environment_module.shutil, "rmtree", lambda *_args, **_more: None)
    bench.run.says = {step: Killed()}
    with pytest.raises(Killed):
        bench()
    monkeypatch.undo()
    assert len(bench.there) == 2
    bench.run.says = {}
    planned = bench(check=True)
    assert planned["changed"] and planned["drift"][0]["have"] == "it is not complete"
    assert not bench(NEXT, check=True)["diff"]["after"]
    assert os.path.basename(earlier["path"]) in bench.there
    done = bench()
    assert done["changed"] and not os.path.exists(f"{done['path']}/.work")
    assert not bench()["changed"]


def test_what_a_killed_run_has_left_goes_with_the_next_one_for_another_set(bench):
    path = pathlib.Path(bench()["path"])
    (path / MARKER).unlink()
    done = bench(NEXT)
    assert done["removed"] == [str(path)] and not path.exists()


def test_a_folder_that_an_earlier_run_still_writes_to_is_not_taken_from_it(bench):
    path = bench()["path"]
    os.unlink(f"{path}/{MARKER}")
    bench.holders = {path: (Holder(5, "python", None),)}
    assert bench(check=True)["changed"]
    said = bench.refused()
    assert said == (
        f"the environment {path} must be built anew, since it is not complete, and python (pid 5) runs from it; "
        "end that, and run again"
    )


@pytest.mark.parametrize(
    ("says", "said"),
    [
        ({"install": "pip/23.0.1/hash-mismatch"}, "demo==1.0 has the sha256 "),
        ({"install": "pip/23.0.1/disk-full"}, "the disk is full"),
        ({"venv": "pip/23.0.1/no-version"}, "cannot be made: "),
        ({"check": "pip/23.0.1/no-version"}, "the set of the environment vllm does not fit: "),
        ({"sync": "pip/23.0.1/no-version"}, "cannot be written to disk: "),
    ],
)
def test_what_fails_leaves_nothing_and_the_earlier_one_alone(bench, says, said):
    earlier = bench(NEXT)
    bench.run.says = says
    assert said in bench.refused()
    assert bench.there == [os.path.basename(earlier["path"])]
    assert not bench(NEXT)["changed"]


def test_no_room_for_what_venv_makes(bench, monkeypatch):
    monkeypatch.setattr(environment_module.shutil, "disk_usage", lambda _path: types.SimpleNamespace(free=4096))
    bench.run.says = {"venv": "pip/23.0.1/no-version"}
    assert "cannot be made, since the disk is full; make room: " in bench.refused()
    assert bench.there == []


def test_no_room_for_the_marker(bench, monkeypatch):
    def full(_marker):
        raise OSError(28, "No space left on device", "/x/marker")

    monkeypatch.setattr(environment_module.environments, "write_marker", full)
    assert bench.refused() == "/x/marker: No space left on device"
    assert bench.there == []


def test_more_than_the_set_is_refused(bench, monkeypatch):
    real = bench.run.install

    def install(argv):
        real(argv)
        folder = next(bench.base.glob("vllm/*/lib/*/site-packages"))
        (folder / "stray-1.dist-info").mkdir()

    monkeypatch.setattr(bench.run, "install", install)
    assert "holds other packages than its set" in bench.refused()
    assert bench.there == []


def spoil(path, how):
    path = pathlib.Path(path)
    folder = next(path.glob("lib/*/site-packages"))
    if how == "python":
        (path / "bin/python").unlink()
        (path / "bin/python").symlink_to("/nowhere/python3.11")
    elif how == "package":
        (folder / "demo-1.0.dist-info").rename(folder / "demo-1.1.dist-info")
    elif how == "copied":
        path.rename(path.with_name("copy"))
        path.with_name("copy").rename(path.with_name("0123456789ab"))
    elif how == "marker":
        (path / MARKER).write_text("{")
    elif how == "format":
        told = json.loads((path / MARKER).read_text())
        (path / MARKER).write_text(json.dumps({**told, "format": 99}))


@pytest.mark.parametrize(
    ("how", "have"),
    [
        ("python", "is gone"),
        ("package", "what is installed differs: demo 1.0, demo 1.1"),
        ("marker", "it is not complete"),
        ("format", "it is not complete"),
    ],
)
def test_a_damaged_one_is_built_anew(bench, how, have):
    path = bench()["path"]
    spoil(path, how)
    done = bench()
    assert done["changed"] and have in done["drift"][0]["have"] and done["drift"][0]["attribute"] == "content"
    assert not bench()["changed"]


def test_a_damaged_one_is_not_taken_from_a_server(bench):
    path = bench()["path"]
    spoil(path, "package")
    bench.holders = {path: (SERVER,)}
    for check in (True, False):
        assert "vllm (pid 812, chat.service) runs from it; end that" in bench.refused(check=check)
    assert os.path.exists(f"{path}/{MARKER}")


def test_a_copy_is_no_environment(bench):
    spoil(bench()["path"], "copied")
    done = bench()
    assert done["drift"][0]["have"] is None
    assert done["removed"] == [str(bench.base / "vllm/0123456789ab")]


def test_every_file_is_read_when_that_is_desired(bench):
    path = pathlib.Path(bench()["path"])
    folder = next(path.glob("lib/*/site-packages"))
    (folder / "demo.py").write_text("x = 1\n")
    checksum = base64.urlsafe_b64encode(hashlib.sha256(b"x = 1\n").digest()).rstrip(b"=").decode()
    (folder / "demo-1.0.dist-info/RECORD").write_text(
        f"demo.py,sha256={checksum},6\ndemo-1.0.dist-info/RECORD,,\n__pycache__/demo.pyc,,\n"
    )
    assert not bench(verify="full")["changed"]
    (folder / "demo.py").write_text("x = 2\n")
    assert not bench(check=True)["changed"], "the fast way reads no file"
    assert bench(verify="full", check=True)["drift"][0]["have"] == "demo.py is not as it was installed"
    (folder / "demo.py").unlink()
    assert bench(verify="full", check=True)["drift"][0]["have"] == "demo.py is not as it was installed"
    (folder / "demo-1.0.dist-info/RECORD").unlink()
    assert bench(verify="full", check=True)["drift"][0]["have"] == "demo-1.0.dist-info has no RECORD"


def test_an_interpreter_that_does_not_start_is_found_when_that_is_desired(bench):
    path = bench()["path"]
    real = bench.run.answer
    bench.run.answer = lambda argv: Completed(argv, 1, "", "no") if argv[0].startswith(path) else real(argv)
    assert bench(verify="full", check=True)["drift"][0]["have"] == "its interpreter does not start: no"


def test_a_second_run_waits_and_names_the_holder(bench):
    (bench.base / "vllm").mkdir(parents=True)
    with locked(str(bench.base / "vllm"), "python_environment", wait_s=0, clock=lambda: 0, sleep=lambda _s: None):
        said = bench.refused(lock_timeout_s=2)
    assert f"did not end within 2 s: python_environment, process {os.getpid()}" in said
    assert bench()["changed"]


def test_what_another_run_has_built_meanwhile_is_not_built_again(bench, monkeypatch):
    real, builds = bench.run.tell, []

    def tell(argv):
        monkeypatch.setattr(bench.run, "tell", real)
        builds.append(bench())

    monkeypatch.setattr(bench.run, "tell", tell)
    assert builds == [] and not bench()["changed"]
    assert builds[0]["changed"]
    assert sum("install" in argv for argv in bench.run.calls) == 1


def test_markers_choose_by_the_hosts_python(bench):
    text = f"{DEMO}gone==1 ; sys_platform == 'win32' --hash=sha256:{'c' * 64}\n"
    assert [one["name"] for one in bench(text, check=True)["packages"]] == ["demo"]
    assert [one["name"] for one in bench(text)["packages"]] == ["demo"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"name": "../x"}, "the name '../x' may have letters"),
        ({"base": "/"}, "base must be a folder by its absolute path"),
        ({"base": "x"}, "base must be a folder by its absolute path"),
        ({"keep": -1}, "keep must not be less than 0"),
        ({"wheels": "/nowhere"}, "the folder of wheels /nowhere is not on the host"),
        ({"index_url": "x"}, "index_url must be an address"),
        ({"requirements": "demo"}, "requirements, line 1: demo is not pinned"),
        ({"requirements": f"{DEMO}demo==2 --hash=sha256:{'c' * 64}"}, "demo is there as 1.0 and as 2"),
    ],
)
def test_refusals_come_before_anything_changes(bench, options, said):
    for check in (True, False):
        assert said in bench.refused(**options, check=check)
    assert not bench.base.exists()


def test_a_python_that_is_not_there(bench):
    told = "the Python python3.99 is not on the host; install it, or name another one as python"
    assert bench.refused(python="python3.99") == told
    found = bench(python="python3.99", check=True)
    assert (found["changed"], found["packages"], found["path"][-13:-12]) == (True, [], "/")
    assert found["warnings"] == [f"{told}. What it would hold is known then."]
    assert "is not on the host" in bench.refused(python="python-nowhere", check=True)  # no version in its name
    assert not bench.base.exists()


def test_a_python_without_its_modules_is_told_what_to_install(bench):
    bench.run.missing = ["ensurepip"]
    told = (
        f"{bench.python} cannot make environments, since it has no ensurepip; install python3.11-venv on Debian "
        "and Ubuntu, or python3.11-pip-wheel on the Enterprise Linux family"
    )
    assert bench.refused() == told
    assert bench(check=True)["warnings"] == [f"{told}. What it would hold is known then."]


def test_all_names_can_be_absent_at_once(bench):
    for name in ("one", "two"):
        bench(name=name)
    there = sorted(str(path) for path in bench.base.glob("*/*") if path.is_dir())
    found = bench(name=None, state="absent", check=True)
    assert (found["changed"], sorted(found["removed"])) == (True, there)
    assert sorted(found["diff"]["before"]) == ["one/demo", "one/the-dep", "two/demo", "two/the-dep"]
    assert bench(name=None, state="absent")["changed"]
    assert not bench.base.exists() or not any(bench.base.iterdir())
    assert bench(name=None, state="absent")["changed"] is False


def test_a_python_that_is_another_one_than_its_name_says(bench):
    bench.run.version = "3.12"
    assert bench.refused() == f"{bench.python} is Python 3.12, and not 3.11 as its name says; name another one"


def test_the_newest_python_is_taken(tmp_path):
    for folder, name in (("a", "python3"), ("a", "python3.9"), ("b", "python3.13"), ("b", "python3.13t"), ("b", "x")):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).write_text("")
        (tmp_path / folder / name).chmod(0o755)
    search = f"{tmp_path}/a:{tmp_path}/b:/nowhere"
    assert interpreter.find(None, search) == f"{tmp_path}/b/python3.13"
    assert interpreter.find("python3", search) == f"{tmp_path}/a/python3"


def test_a_name_that_does_not_tell_its_version_is_followed_or_asked(bench):
    folder = bench.python.parent
    (folder / "python3").symlink_to(bench.python)
    assert interpreter.find("python3", str(folder)) == str(bench.python)
    assert bench(python=str(folder / "python3"), check=True)["path"] == bench(check=True)["path"]
    bench.python.rename(folder / "odd")
    assert interpreter.version(str(folder / "odd"), bench.run) == "3.11"


def test_units_and_their_drop_ins_are_read(tmp_path):
    (tmp_path / "a.service.d").mkdir()
    (tmp_path / "a.service").write_text("A")
    (tmp_path / "a.service.d/b.conf").write_text("B")
    (tmp_path / "gone.service").symlink_to("/nowhere/gone.service")
    (tmp_path / "notes.txt").write_text("C")
    assert sorted(unit_files(str(tmp_path)).values()) == ["A", "B"]
