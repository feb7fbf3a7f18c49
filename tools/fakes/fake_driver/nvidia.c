// Copyright (c) 2026, The mlops.hosts founders
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
//
// A fake of NVIDIA's kernel module, for tests. It drives nothing: it binds to NVIDIA's display devices, says its
// version where the real one does, and stays in place while a process has /dev/nvidiactl open.
// Only symbols that a module of any licence may use: the proprietary flavour must load as the real one does.

#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE >= FAKE_KERNELS_BELOW
#error "this fake driver knows no kernel as new as this"
#endif

const char *nvidia_fake_version(void);

const char *nvidia_fake_version(void)
{
	return FAKE_VERSION;
}
EXPORT_SYMBOL(nvidia_fake_version);

static int version_show(struct seq_file *file, void *unused)
{
	seq_puts(file, "NVRM version: " FAKE_TITLE "\nGCC version:  fake\n");
	return 0;
}

static const struct file_operations control = { .owner = THIS_MODULE };
static struct miscdevice node = { .minor = MISC_DYNAMIC_MINOR, .name = "nvidiactl", .fops = &control, .mode = 0666 };

static int probe(struct pci_dev *device, const struct pci_device_id *id)
{
	return 0;
}

static const struct pci_device_id devices[] = {
	{ PCI_DEVICE(PCI_VENDOR_ID_NVIDIA, PCI_ANY_ID), .class = PCI_CLASS_DISPLAY_VGA << 8, .class_mask = ~0 },
	{ PCI_DEVICE(PCI_VENDOR_ID_NVIDIA, PCI_ANY_ID), .class = PCI_CLASS_DISPLAY_3D << 8, .class_mask = ~0 },
	{}
};
MODULE_DEVICE_TABLE(pci, devices);

static struct pci_driver driver = { .name = "nvidia", .id_table = devices, .probe = probe };

static int __init nvidia_init(void)
{
	struct proc_dir_entry *folder = proc_mkdir("driver/nvidia", NULL);
	int error = -ENOMEM;

	if (!folder || !proc_create_single("version", 0444, folder, version_show))
		goto no_folder;
	error = misc_register(&node);
	if (error)
		goto no_folder;
	error = pci_register_driver(&driver);
	if (!error)
		return 0;
	misc_deregister(&node);
no_folder:
	proc_remove(folder);
	return error;
}

static void __exit nvidia_exit(void)
{
	pci_unregister_driver(&driver);
	misc_deregister(&node);
	remove_proc_subtree("driver/nvidia", NULL);
}

module_init(nvidia_init);
module_exit(nvidia_exit);
MODULE_DESCRIPTION("fake of NVIDIA's kernel module, for tests");
MODULE_VERSION(FAKE_VERSION);
MODULE_LICENSE(FAKE_LICENSE);
