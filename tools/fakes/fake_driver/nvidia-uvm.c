// Copyright (c) 2026, The mlops.hosts founders
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
//
// A fake of NVIDIA's memory module, for tests: it holds the fake module nvidia, and does nothing else.

#include <linux/module.h>

extern const char *nvidia_fake_version(void);

static int __init uvm_init(void)
{
	pr_info("nvidia-uvm: fake, on %s\n", nvidia_fake_version());
	return 0;
}

static void __exit uvm_exit(void)
{
}

module_init(uvm_init);
module_exit(uvm_exit);
MODULE_DESCRIPTION("fake of NVIDIA's memory module, for tests");
MODULE_VERSION(FAKE_VERSION);
MODULE_LICENSE("Dual MIT/GPL");
