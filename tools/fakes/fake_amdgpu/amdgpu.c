// Copyright (c) 2026, The mlops.hosts founders
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
//
// A fake of AMD's kernel module, for tests. It drives nothing; DKMS builds it, and it says its version.

#include <linux/module.h>

static int __init amdgpu_init(void)
{
	return 0;
}

static void __exit amdgpu_exit(void)
{
}

module_init(amdgpu_init);
module_exit(amdgpu_exit);
MODULE_DESCRIPTION("fake of AMD's kernel module, for tests");
MODULE_VERSION(FAKE_VERSION);
MODULE_LICENSE("GPL and additional rights");
