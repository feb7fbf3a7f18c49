// Copyright (c) 2026, The mlops.hosts founders
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
//
// A stand-in of NVIDIA's memory module, for tests: it holds the stand-in module nvidia, and does nothing else.

#include <linux/module.h>

extern const char *nvidia_standin_version(void);

static int __init uvm_init(void)
{
	pr_info("nvidia-uvm: stand-in, on %s\n", nvidia_standin_version());
	return 0;
}

static void __exit uvm_exit(void)
{
}

module_init(uvm_init);
module_exit(uvm_exit);
MODULE_DESCRIPTION("stand-in of NVIDIA's memory module, for tests");
MODULE_VERSION(STANDIN_VERSION);
MODULE_LICENSE("Dual MIT/GPL");
