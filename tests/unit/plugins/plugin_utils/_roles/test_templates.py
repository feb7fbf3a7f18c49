# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import jinja2
import pytest
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles import templates


@pytest.fixture
def role(monkeypatch, tmp_path):
    """Writes the template of a role, and renders it."""
    folder = tmp_path / "roles/demo/templates"
    folder.mkdir(parents=True)
    monkeypatch.setattr(templates, "ROLES", tmp_path / "roles")

    def rendered(text, more=None, **options):
        (folder / "a.j2").write_text(text)
        return templates.render("demo", "a.j2", more or {}, **options)

    return rendered


def test_values_are_no_templates(role):
    """A prompt or a pattern of a user may have braces."""
    assert role("x={{ x }}\n", {"x": "{{ lookup('pipe', 'id') }}"}) == "x={{ lookup('pipe', 'id') }}\n"


def test_text_is_as_ansible_makes_it(role):
    said = "{{ ansible_managed | comment }}\n{% if x is none %}\nx={{ x }};{{ y | to_json }}\n{% endif %}\n"
    assert role(said, {"x": None, "y": [True, "ä"]}, managed="by us") == '#\n# by us\n#\nx=;[true, "\\u00e4"]\n'


def test_a_name_that_is_not_there_is_no_empty_text(role):
    with pytest.raises(jinja2.UndefinedError, match="y"):
        role("{{ x.y }}", {"x": {}})


def test_what_is_compiled_once_is_found_again(role, tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    assert role("a{{ x }}", {"x": 1}, kept=str(kept)) == "a1"
    (compiled,) = kept.iterdir()
    first = compiled.read_bytes()
    assert role("a{{ x }}", {"x": 2}, kept=str(kept)) == "a2"
    assert compiled.read_bytes() == first
    # Another text is compiled anew, and what another version of Jinja or Python left as well.
    assert role("b{{ x }}", {"x": 3}, kept=str(kept)) == "b3"
    compiled.write_bytes(b"j2" + first[2:].replace(first[2:8], b"another", 1))
    assert role("b{{ x }}", {"x": 4}, kept=str(kept)) == "b4"


@pytest.mark.parametrize("length", (1, 5, 20, 60, 200))
def test_half_of_a_compiled_template_is_compiled_anew(role, tmp_path, length):
    """Jinja before 3.1.2 writes it while others read."""
    kept = tmp_path / "kept"
    kept.mkdir()
    role("a{{ x }}", {"x": 1}, kept=str(kept))
    (compiled,) = kept.iterdir()
    whole = compiled.read_bytes()
    compiled.write_bytes(whole[:length])
    assert role("a{{ x }}", {"x": 2}, kept=str(kept)) == "a2"
    assert compiled.read_bytes() == whole


def test_a_folder_that_takes_nothing_costs_time_only(role, tmp_path):
    assert role("a{{ x }}", {"x": 1}, kept=str(tmp_path / "gone")) == "a1"


def test_a_template_of_no_role_is_none(role):
    assert templates.find("demo", "nothing.j2") is None
