/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * gwalk.h - the guest's own page tables: from a linear to a physical address.
 *
 * Pure: gwalk() gets registers and a reader of guest-physical memory, changes
 * nothing, and also compiles in userspace.
 *
 * Source: Intel SDM volume 3, chapter "Paging", sections "32-Bit Paging", "PAE
 * Paging", "4-Level Paging and 5-Level Paging", "Access Rights" and "Page-Fault
 * Exceptions".
 */
#ifndef _EMYS_GWALK_H
#define _EMYS_GWALK_H

#include <linux/types.h>

/**
 * struct gwalk_regs - what decides about a walk
 * @rflags: for AC
 * @pdptr: the PDPTE registers, for PAE paging; checked when they were loaded
 * @cpl: current privilege level
 * @maxphyaddr: width of a guest-physical address, 32..52
 * @has_1g: CPUID.80000001H:EDX.Page1GB
 */
struct gwalk_regs {
	u64 cr0, cr3, cr4, efer;
	u64 rflags;
	u64 pdptr[4];
	u8 cpl;
	u8 maxphyaddr;
	bool has_1g;
};

/* Access of a walk; none of these is an explicit supervisor-mode read */
#define GWALK_WRITE	1
#define GWALK_EXEC	2
#define GWALK_USER	4	/* user-mode access: with the rights of CPL 3 */
#define GWALK_IMPLICIT	8	/* implicit supervisor access: SMAP whatever AC says */
#define GWALK_TABLE	16	/* for emys_vcpu.gpa_map alone: of a paging-structure entry */
#define GWALK_PDPTE	32	/* the same: of the PDPTEs, when they are loaded */

/* Page-fault error code */
#define GWALK_PF_P	0x01
#define GWALK_PF_W	0x02
#define GWALK_PF_U	0x04
#define GWALK_PF_RSVD	0x08
#define GWALK_PF_I	0x10

/* Reads a paging-structure entry; @gpa is aligned to @size, 4 or 8. 0 or -EFAULT. */
typedef int (*gwalk_read_fn)(void *ctx, u64 gpa, void *val, int size);

/**
 * gwalk() - translate @gva
 * @gva: canonical (not checked); outside IA-32e mode its upper half is ignored
 *
 * Accessed and dirty flags are not set by this walk; protection keys are not
 * looked at.
 *
 * Return: 0 and *@gpa; 1 and *@error, the error code of the #PF to inject;
 * -EFAULT when an entry lies outside guest memory.
 */
int gwalk(const struct gwalk_regs *r, u64 gva, u32 access, gwalk_read_fn read,
	  void *ctx, u64 *gpa, u32 *error);

#endif
