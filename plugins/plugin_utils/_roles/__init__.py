# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""A role is a builder: a pure function of its options and the platform that says what a host should be.

One room a role, with ``build.py``:

``facts(options)``
    the facts about the platform that ``build`` needs, none where the host need not be known
``asks(options)``, which a room may leave out
    one :class:`built.Question` or several, without which nothing can be built
``build(options, platform, *answers)``
    a :class:`built.Built`
``borrows(options)``, which a room may leave out
    options that have the form of an option of the same name of another role, with that role; null means its variable
``reads(options)``, which a room may leave out
    options of other roles of this host, by role: the option ``others`` has their values, None for a role that is absent

``options`` are those of the role without its name before them, with the types of its argument specification
(``options.py``, ``variables.py``); ``platform`` is from ``platform.py``. The action ``role_component`` runs them.
"""
