/* SPDX-License-Identifier: GPL-2.0-only */
/* ACPI tables: what an unmodified guest needs for SMP and power-off. */
#ifndef ACPI_H
#define ACPI_H

#include <stdbool.h>
#include <stdint.h>

#include "memory.h"

#define ACPI_MAX_CPUS 254
#define ACPI_SLP_TYP_S5 5

/*
 * Write RSDP, XSDT, FADT, FACS, DSDT and MADT for @cpus CPUs (APIC ids 0 and
 * up) at LAYOUT_ACPI, with a PCI host bridge if @pci. *rsdp is the RSDP's
 * address. 0 or -ENOSPC.
 */
int acpi_build(const struct guest_mem *mem, unsigned int cpus, bool pci,
	       uint64_t *rsdp);

#endif
