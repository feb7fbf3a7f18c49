# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Of Sphinx, for the pages that tools/docs puts together."""

project = "mlops.hosts"
author = "The mlops.hosts founders"
project_copyright = "2026, The mlops.hosts founders"
root_doc = "docs/index"

extensions = ["myst_parser", "sphinx.ext.intersphinx", "sphinx_antsibull_ext"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
# As GitHub makes them, so that a link to a heading is the same in both.
myst_heading_anchors = 4
nitpicky = True
default_role = "any"
highlight_language = "text"

# What other documents are called, by tools/docs: nothing is fetched.
intersphinx_mapping = {"ansible": ("https://docs.ansible.com/projects/ansible/latest/", "ansible.inv")}

html_theme = "sphinx_rtd_theme"
html_title = "mlops.hosts"
html_theme_options = {"navigation_depth": 3}
html_copy_source = False
html_show_sphinx = False
html_use_index = False
