# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How pages of the repository become the site that ``make docs`` makes, and which links of a site are broken."""

from __future__ import annotations

import pytest

from tools.docs import links, pages

REPOSITORY = "https://git.example.org/hosts"


@pytest.fixture
def root(tmp_path):
    for name in ("docs/index.md", "docs/a.md", "docs/p.png", "roles/r/README.md", "roles/r/files/x.csv", "README.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("link", "becomes"),
    [
        ("a.md", "a.md"),
        ("a.md#top", "a.md#top"),
        ("../roles/r/README.md", "../roles/r/README.md"),
        ("p.png", "p.png"),
        ("https://example.org/", "https://example.org/"),
        ("../roles/r/files/x.csv", f"{REPOSITORY}/blob/main/roles/r/files/x.csv"),
        ("../roles/r/files", f"{REPOSITORY}/tree/main/roles/r/files"),
        # Sphinx says that it is not there.
        ("b.md", "b.md"),
    ],
)
def test_a_link_to_what_is_no_page_leads_into_the_repository(root, link, becomes):
    text = f"See [it]({link})."
    assert pages.elsewhere("docs/index.md", text, pages.pages(root), root, REPOSITORY) == f"See [it]({becomes})."


def test_the_contents_are_what_the_index_lists_and_the_manuals():
    begin = "## Begin\n\n- [A](a.md): first\n\n```console\n$ make [no](no.md)\n```\n\n"
    index = f"# Top\n\n[x](x.md)\n\n{begin}## Roles\n\n- [r](../r.md)\n"
    assert pages.sections(index) == {"Begin": ["a.md"], "Roles": ["../r.md"]}
    made = pages.contents(index)
    assert [line for line in made.splitlines() if line and not line.startswith((":hidden", "```"))] == [
        ":caption: Begin",
        "a.md",
        ":caption: Roles",
        "../r.md",
        ":caption: Manuals",
        "/collections/index",
    ]


def test_what_manuals_refer_to_in_ansible_is_known_without_asking():
    text = (
        "See :ref:`here <common_return_values>`, :ref:`apt <ansible_collections.ansible.builtin.apt_module>`, "
        ":ref:`own <ansible_collections.mlops.hosts.component_module>`, "
        ":ansenvvarref:`ANSIBLE\\_CALLBACKS\\_ENABLED=x`."
    )
    assert [line.split()[0] for line in pages.of_ansible([text]).splitlines()] == [
        "ANSIBLE_CALLBACKS_ENABLED",
        "ansible_collections.ansible.builtin.apt_module",
        "common_return_values",
    ]


def test_a_link_that_leads_nowhere_is_found(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/a.html").write_text(
        '<a href="b.html#there"></a><a href="b.html#gone"></a><a href="../c.html"></a><a href="#gone"></a>'
        '<a href="https://example.org/x"></a><a href="mailto:a@example.org"></a><img src="p%20q.png">'
        '<p id="me"></p><a href="#me"></a>'
    )
    (tmp_path / "docs/b.html").write_text('<h1 id="there"></h1>')
    (tmp_path / "docs/p q.png").touch()
    assert list(links.broken(tmp_path)) == [
        "docs/a.html links b.html#gone, and docs/b.html has no such place",
        "docs/a.html links ../c.html, and there is no c.html",
        "docs/a.html links #gone, and docs/a.html has no such place",
    ]
