// Copyright (c) 2026, The mlops.hosts founders
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
//
// A fake of GPUs on the PCI bus, for tests: a root bus of its own (domain 1) with devices that have NVIDIA's ids and
// nothing behind them; the id of an NVSwitch is one. The kernel, udev and drivers find them as they find real ones; a driver that wants to speak to
// the hardware fails, as nouveau does.

#include <linux/module.h>
#include <linux/pci.h>

static ushort ids[8] = { 0x2330 };
static int count = 1;
module_param_array(ids, ushort, &count, 0444);
MODULE_PARM_DESC(ids, "device ids of the GPUs; an H100 without it");

static struct pci_sysdata host = { .domain = 1, .node = NUMA_NO_NODE };
static struct pci_bus *root;

#define NVSWITCH 0x22a3

static u32 word(ushort id, int where)
{
	switch (where & ~3) {
	case PCI_VENDOR_ID:
	case PCI_SUBSYSTEM_VENDOR_ID:
		return PCI_VENDOR_ID_NVIDIA | id << 16;
	case PCI_CLASS_REVISION:
		return (id == NVSWITCH ? PCI_CLASS_BRIDGE_OTHER : (u32)PCI_CLASS_DISPLAY_3D) << 16 | 0xa1;
	default:
		return 0;
	}
}

static int read(struct pci_bus *bus, unsigned int devfn, int where, int size, u32 *value)
{
	*value = ~0;
	if (PCI_FUNC(devfn) || PCI_SLOT(devfn) >= count)
		return PCIBIOS_DEVICE_NOT_FOUND;
	*value = word(ids[PCI_SLOT(devfn)], where) >> 8 * (where & 3);
	if (size < 4)
		*value &= (1 << 8 * size) - 1;
	return PCIBIOS_SUCCESSFUL;
}

static int write(struct pci_bus *bus, unsigned int devfn, int where, int size, u32 value)
{
	return PCIBIOS_SUCCESSFUL;
}

static struct pci_ops ops = { .read = read, .write = write };

static int __init fake_init(void)
{
	LIST_HEAD(resources);

	pci_lock_rescan_remove();
	root = pci_scan_root_bus(NULL, 0, &ops, &host, &resources);
	if (root)
		pci_bus_add_devices(root);
	pci_unlock_rescan_remove();
	return root ? 0 : -ENODEV;
}

static void __exit fake_exit(void)
{
	pci_lock_rescan_remove();
	pci_stop_root_bus(root);
	pci_remove_root_bus(root);
	pci_unlock_rescan_remove();
}

module_init(fake_init);
module_exit(fake_exit);
MODULE_DESCRIPTION("fake of GPUs on the PCI bus, for tests");
MODULE_LICENSE("GPL");
