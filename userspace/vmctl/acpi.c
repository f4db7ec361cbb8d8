// SPDX-License-Identifier: GPL-2.0-only
/* ACPI tables: what an unmodified guest needs for SMP and power-off. */
#include "acpi.h"

#include <errno.h>
#include <string.h>

#include "aml.h"
#include "layout.h"
#include "pci.h"
#include "util.h"

/* The area the tables are laid out in, growing upward. */
struct area {
	const struct guest_mem *mem;
	uint64_t next;
	bool full;
};

/* A table under construction, after its 36-byte header. */
struct table {
	uint64_t addr;
	uint8_t *p;
	size_t len;
	size_t max;
};

#define HEADER_LEN 36

static uint8_t *area_take(struct area *a, uint64_t align, uint64_t len,
			  uint64_t *addr)
{
	*addr = round_up(a->next, align);
	if (*addr + len > LAYOUT_ACPI_END) {
		a->full = true;
		return NULL;
	}
	a->next = *addr + len;
	return guest_mem_ptr(a->mem, *addr, len);
}

static uint8_t checksum(const uint8_t *p, size_t len)
{
	uint8_t sum = 0;

	while (len--)
		sum += *p++;
	return -sum;
}

static int table_open(struct area *a, struct table *t, const char *sig,
		      uint8_t revision, size_t body)
{
	t->len = HEADER_LEN;
	t->max = HEADER_LEN + body;
	t->p = area_take(a, 16, t->max, &t->addr);
	if (!t->p)
		return -ENOSPC;
	memset(t->p, 0, t->max);
	memcpy(t->p, sig, 4);
	t->p[8] = revision;
	memcpy(t->p + 10, "EMYS  ", 6);
	memcpy(t->p + 16, "VMCTL   ", 8);
	put_le32(t->p + 24, 1);
	memcpy(t->p + 28, "EMYS", 4);
	put_le32(t->p + 32, 1);
	return 0;
}

static void table_close(struct area *a, struct table *t)
{
	put_le32(t->p + 4, t->len);
	t->p[9] = checksum(t->p, t->len);
	/* Give back what the table did not need. */
	if (t->addr + t->max == a->next)
		a->next = t->addr + t->len;
}

static void isa_device(struct aml *a, const char *name, const char *hid,
		       uint16_t port, uint8_t ports, unsigned int irq)
{
	aml_device(a, name);
	aml_name(a, "_HID");
	aml_eisaid(a, hid);
	aml_name(a, "_UID");
	aml_int(a, 0);
	aml_name(a, "_STA");
	aml_int(a, 0x0f);
	aml_name(a, "_CRS");
	aml_resources(a);
	aml_io(a, port, ports);
	aml_irq(a, irq);
	aml_resources_close(a);
	aml_close(a);
}

/* The host bridge: what it decodes, and where the slots' pins go. */
static void pci_bridge(struct aml *a)
{
	aml_device(a, "PCI0");
	aml_name(a, "_HID");
	aml_eisaid(a, "PNP0A03");
	aml_name(a, "_UID");
	aml_int(a, 0);
	aml_name(a, "_BBN");
	aml_int(a, 0);
	aml_name(a, "_CRS");
	aml_resources(a);
	aml_bus_window(a, 0, 1);
	aml_io(a, PORT_PCI_ADDRESS, 8);
	aml_io_window(a, LAYOUT_PCI_IO, LAYOUT_PCI_IO_LEN);
	aml_mem_window(a, LAYOUT_PCI_MMIO, LAYOUT_PCI_MMIO_LEN);
	aml_resources_close(a);
	aml_name(a, "_PRT");
	aml_package(a, (PCI_SLOTS - 1) * PCI_PINS);
	for (unsigned int slot = 1; slot < PCI_SLOTS; slot++)
		for (unsigned int pin = 0; pin < PCI_PINS; pin++) {
			aml_package(a, 4);
			aml_int(a, slot << 16 | 0xffff);
			aml_int(a, pin);
			aml_int(a, 0);	/* no link device: a GSI */
			aml_int(a, pci_gsi(slot, pin, IRQ_PCI));
			aml_close(a);
		}
	aml_close(a);
	aml_close(a);
}

static int build_dsdt(struct area *area, bool pci, uint64_t *addr)
{
	struct aml a = { 0 };
	struct table t;
	int rc;

	rc = table_open(area, &t, "DSDT", 2, 2048);
	if (rc)
		return rc;
	a.buf = t.p + HEADER_LEN;
	a.size = t.max - HEADER_LEN;

	aml_scope(&a, "\\_SB_");
	isa_device(&a, "COM1", "PNP0501", PORT_COM1, 8, IRQ_COM1);
	isa_device(&a, "RTC0", "PNP0B00", PORT_RTC, 2, IRQ_RTC);
	if (pci)
		pci_bridge(&a);
	aml_close(&a);

	aml_name(&a, "\\_S5_");
	aml_package(&a, 4);
	aml_int(&a, ACPI_SLP_TYP_S5);
	aml_int(&a, ACPI_SLP_TYP_S5);
	aml_int(&a, 0);
	aml_int(&a, 0);
	aml_close(&a);
	if (a.full)
		return -ENOSPC;

	t.len += a.len;
	table_close(area, &t);
	*addr = t.addr;
	return 0;
}

static int build_facs(struct area *area, uint64_t *addr)
{
	uint8_t *p = area_take(area, 64, 64, addr);

	if (!p)
		return -ENOSPC;
	memset(p, 0, 64);
	memcpy(p, "FACS", 4);
	put_le32(p + 4, 64);
	p[32] = 2;		/* version */
	return 0;
}

/* Generic address structure of an I/O port. */
static void put_gas(uint8_t *p, uint8_t bits, uint8_t access, uint64_t port)
{
	p[0] = 1;		/* system I/O */
	p[1] = bits;
	p[2] = 0;
	p[3] = access;
	put_le64(p + 4, port);
}

#define FADT_WBINVD		(1u << 0)
#define FADT_PROC_C1		(1u << 2)
#define FADT_NO_PWR_BUTTON	(1u << 4)
#define FADT_NO_SLP_BUTTON	(1u << 5)
#define FADT_TMR_VAL_EXT	(1u << 8)
#define FADT_RESET_REG		(1u << 10)

static int build_fadt(struct area *area, uint64_t facs, uint64_t dsdt,
		      uint64_t *addr)
{
	struct table t;
	uint8_t *p;
	int rc;

	/* Revision 5, 268 bytes: fields by offset from the table's start. */
	rc = table_open(area, &t, "FACP", 5, 268 - HEADER_LEN);
	if (rc)
		return rc;
	p = t.p;
	put_le32(p + 40, dsdt);
	put_le16(p + 46, IRQ_SCI);
	/* SMI_CMD is 0: the machine is in ACPI mode from the start. */
	put_le32(p + 56, PORT_PM);		/* PM1a event block */
	put_le32(p + 64, PORT_PM + 4);		/* PM1a control block */
	put_le32(p + 76, PORT_PM + 8);		/* PM timer */
	p[88] = 4;
	p[89] = 2;
	p[91] = 4;
	put_le16(p + 96, 0xffff);		/* no C2 */
	put_le16(p + 98, 0xffff);		/* no C3 */
	p[108] = 0x32;				/* RTC century */
	/* Boot flags: legacy devices, no VGA; no 8042 to probe. */
	put_le16(p + 109, 1u << 0 | 1u << 2);
	put_le32(p + 112, FADT_WBINVD | FADT_PROC_C1 | FADT_NO_PWR_BUTTON |
			  FADT_NO_SLP_BUTTON | FADT_TMR_VAL_EXT |
			  FADT_RESET_REG);
	put_gas(p + 116, 8, 1, PORT_RESET);
	p[128] = 0x06;				/* value that resets */
	p[131] = 1;				/* minor revision */
	/* With 64-bit pointers set, the 32-bit one of the FACS stays 0. */
	put_le64(p + 132, facs);
	put_le64(p + 140, dsdt);
	put_gas(p + 148, 32, 2, PORT_PM);
	put_gas(p + 172, 16, 2, PORT_PM + 4);
	put_gas(p + 208, 32, 3, PORT_PM + 8);
	t.len = t.max;
	table_close(area, &t);
	*addr = t.addr;
	return 0;
}

static uint8_t *madt_entry(struct table *t, uint8_t type, uint8_t len)
{
	uint8_t *e = t->p + t->len;

	e[0] = type;
	e[1] = len;
	t->len += len;
	return e;
}

static int build_madt(struct area *area, unsigned int cpus, uint64_t *addr)
{
	struct table t;
	uint8_t *e;
	int rc;

	rc = table_open(area, &t, "APIC", 4, 8 + cpus * 8 + 12 + 2 * 10 + 6);
	if (rc)
		return rc;
	put_le32(t.p + 36, LAPIC_ADDR);
	put_le32(t.p + 40, 1);			/* there is a dual 8259 */
	t.len += 8;

	for (unsigned int i = 0; i < cpus; i++) {
		e = madt_entry(&t, 0, 8);	/* local APIC */
		e[2] = i;
		e[3] = i;
		put_le32(e + 4, 1);		/* enabled */
	}
	e = madt_entry(&t, 1, 12);		/* I/O APIC */
	put_le32(e + 4, IOAPIC_ADDR);

	e = madt_entry(&t, 2, 10);		/* ISA IRQ 0 is GSI 2 */
	put_le32(e + 4, 2);

	e = madt_entry(&t, 2, 10);		/* SCI: level, active high */
	e[3] = IRQ_SCI;
	put_le32(e + 4, IRQ_SCI);
	put_le16(e + 8, 0x0d);

	e = madt_entry(&t, 4, 6);		/* NMI on LINT1 of all CPUs */
	e[2] = 0xff;
	e[5] = 1;

	table_close(area, &t);
	*addr = t.addr;
	return 0;
}

static int build_xsdt(struct area *area, const uint64_t *tables, size_t n,
		      uint64_t *addr)
{
	struct table t;
	int rc;

	rc = table_open(area, &t, "XSDT", 1, n * 8);
	if (rc)
		return rc;
	for (size_t i = 0; i < n; i++, t.len += 8)
		put_le64(t.p + t.len, tables[i]);
	table_close(area, &t);
	*addr = t.addr;
	return 0;
}

int acpi_build(const struct guest_mem *mem, unsigned int cpus, bool pci,
	       uint64_t *rsdp)
{
	struct area area = { .mem = mem, .next = LAYOUT_ACPI };
	uint64_t facs, dsdt, tables[2], xsdt;
	uint8_t *p;
	int rc;

	/* First of all: guests look for it at 16-byte steps from 0xe0000. */
	p = area_take(&area, 16, 36, rsdp);
	if (!p)
		return -ENOSPC;

	rc = build_facs(&area, &facs);
	rc = rc ?: build_dsdt(&area, pci, &dsdt);
	rc = rc ?: build_fadt(&area, facs, dsdt, &tables[0]);
	rc = rc ?: build_madt(&area, cpus, &tables[1]);
	rc = rc ?: build_xsdt(&area, tables, ARRAY_SIZE(tables), &xsdt);
	if (rc)
		return rc;

	memset(p, 0, 36);
	memcpy(p, "RSD PTR ", 8);
	memcpy(p + 9, "EMYS  ", 6);
	p[15] = 2;			/* revision */
	put_le32(p + 20, 36);
	put_le64(p + 24, xsdt);
	p[8] = checksum(p, 20);
	p[32] = checksum(p, 36);
	return 0;
}
