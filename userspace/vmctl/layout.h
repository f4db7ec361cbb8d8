/* SPDX-License-Identifier: GPL-2.0-only */
/* Guest physical addresses, interrupt lines and ports of the machine. */
#ifndef LAYOUT_H
#define LAYOUT_H

/* What the loaders put below 640 KiB; free for the guest once it runs. */
#define LAYOUT_GDT		0x1000
#define LAYOUT_INFO		0x2000	/* PVH start info, multiboot info */
#define LAYOUT_MMAP		0x3000	/* memory map and module list of those */
#define LAYOUT_ZERO_PAGE	0x7000	/* Linux boot_params */
#define LAYOUT_SETUP_DATA	0x8000
#define LAYOUT_PAGING		0x9000	/* PML4, PDPT, four PDs */
#define LAYOUT_CMDLINE		0x20000
#define LAYOUT_CMDLINE_MAX	0x10000
#define LAYOUT_EBDA		0x9fc00
#define LAYOUT_ACPI		0xe0000	/* RSDP and all tables */
#define LAYOUT_ACPI_END		0x100000
#define LAYOUT_HIGH		0x100000

/* Pages a VMX host without unrestricted guest needs for real mode. */
#define LAYOUT_KVM		0xfeffc000
#define LAYOUT_IDENTITY		0xfeffc000
#define LAYOUT_TSS		0xfeffd000

/* What the PCI host bridge hands on: memory BARs, I/O BARs (none so far). */
#define LAYOUT_PCI_MMIO		0xe0000000
#define LAYOUT_PCI_MMIO_LEN	0x10000000
#define LAYOUT_PCI_IO		0xc000
#define LAYOUT_PCI_IO_LEN	0x4000

#define IOAPIC_ADDR		0xfec00000
#define LAPIC_ADDR		0xfee00000

#define IRQ_COM1		4
#define IRQ_RTC			8
#define IRQ_SCI			9
#define IRQ_PCI			16	/* and the three after it: INTx */

#define PORT_I8042		0x64
#define PORT_RTC		0x70
#define PORT_DEBUG		0xe9
#define PORT_COM1		0x3f8
#define PORT_PM			0x600	/* PM1a event 0, PM1a control 4, timer 8 */
#define PORT_PCI_ADDRESS	0xcf8
#define PORT_RESET		0xcf9
#define PORT_PCI_DATA		0xcfc

#endif
