/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ept12.h - L1's own EPT (EPT12): from a physical address of L2 to one of L1.
 *
 * Pure: ept12_walk() gets a format and two accessors of L1's memory, and also compiles in
 * userspace. The tables are L1's and may change at any time, also while they are walked: each
 * entry is read once, and what was read decides.
 *
 * Source: Intel SDM volume 3, chapter "VMX Support for Address Translation", sections "EPT
 * Translation Mechanism", "EPT-Induced VM Exits" and "Accessed and Dirty Flags for EPT"; chapter
 * "VM Exits", table "Exit Qualification for EPT Violations"; "Extended-Page-Table Pointer (EPTP)"
 * and, for the capabilities, appendix "VMX Capability Reporting Facility".
 */
#ifndef _EMYS_NESTED_EPT12_H
#define _EMYS_NESTED_EPT12_H

#include "../ept/ept.h"

#define EPT12_EPTP_AD		BIT_ULL(6)	/* accessed and dirty flags are on */

/* An address of L2 and of L1, bytes; access and rights are EPT_R | EPT_W | EPT_X */

/**
 * struct ept12_format - what L1's virtual CPU accepts
 * @entry: in an entry; .ad: EPT12_EPTP_AD may be set. nx_large and spp do not matter
 * @walk4, @uc, @wb: what an EPTP may say: a walk of 4 levels, tables of these memory types
 */
struct ept12_format {
	struct ept_format entry;
	bool walk4, uc, wb;
};

/* From L1's IA32_VMX_EPT_VPID_CAP and its physical-address width, 32..52. */
void ept12_format_set(struct ept12_format *f, u64 ept_vpid_cap, u8 maxphyaddr);

/* Would VM entry, and VMFUNC, accept this EPTP? Pure. */
bool ept12_eptp_valid(const struct ept12_format *f, u64 eptp);

/**
 * struct ept12_ops - L1's memory; addresses are aligned to 8 and below 2^maxphyaddr
 * @read8: one atomic read. 0; -EFAULT: nothing is there (no memory: reads as all ones); another
 *	errno ends the walk with it
 * @cmpxchg8: one atomic compare-exchange. 0; -EAGAIN: it is not @old any more; -EFAULT: nothing
 *	writable is there, the write is lost; another errno ends the walk with it
 * @log: before a flag of an allowed access is set, with @dirty the dirty flag too: note @gpa2 in
 *	the page-modification log. 0; anything else ends the walk with it. NULL: there is no log
 * @logged: the dirty flag is set, so that what @log noted counts. Not NULL if @log is not
 */
struct ept12_ops {
	int (*read8)(void *ctx, u64 gpa1, u64 *val);
	int (*cmpxchg8)(void *ctx, u64 gpa1, u64 old, u64 new);
	int (*log)(void *ctx, u64 gpa2, bool dirty);
	void (*logged)(void *ctx);
};

enum ept12_result {
	EPT12_OK,
	EPT12_VIOLATION,	/* reflect, with struct ept12_walk's @qual */
	EPT12_MISCONFIG,	/* reflect */
	EPT12_LOG_FULL,		/* reflect; said by @log alone */
};

/**
 * struct ept12_walk - what a walk found
 *
 * After EPT12_OK:
 * @gpa1: what the address translates to, with its offset
 * @level: of the leaf, 1 (4 KiB), 2 or 3; both addresses have the same offset in it
 * @rights: the AND over all levels
 * @memtype, @ipat: of the leaf, for who composes
 * @accessed: every entry has its accessed flag, or such flags are off (always, after an access)
 * @dirty: the leaf has its dirty flag, or they are off. A leaf without must be mapped without
 *	write access, so that a write is seen and sets it: ept12_map_rights(). A table in memory
 *	that cannot be written counts as having its flags, as there is nowhere to keep them
 *
 * After EPT12_VIOLATION:
 * @qual: bits 0 to 5 of the exit qualification: the access, and the AND of the rights of the
 *	entries used. Bit 6 is 0, as there is no mode-based execute control. Others are the caller's
 */
struct ept12_walk {
	u64 gpa1;
	int level;
	u64 rights;
	unsigned int memtype;
	bool ipat;
	bool accessed;
	bool dirty;
	u64 qual;
};

/**
 * ept12_walk() - translate @gpa2 for an access
 * @eptp: accepted by ept12_eptp_valid()
 * @access: EPT_R, EPT_W, EPT_X or several; what the CPU said in bits 0 to 2 of its own exit
 *	qualification, where accesses to L2's paging structures count as EPT_R | EPT_W only if @eptp
 *	has EPT12_EPTP_AD. 0: only look: no right is asked for, no flag is set
 *
 * After an allowed access with EPT12_EPTP_AD the accessed flags, and for a write the dirty flag,
 * are set; after a violation, or when the log is full, nothing is. At most 4 reads and 4
 * compare-exchanges. A table outside of memory reads as all ones, as on a CPU, which is a
 * misconfiguration at every level.
 *
 * Return: enum ept12_result; -EAGAIN when an entry changed before its flags could be set: walk
 * again; an errno of @ops. Context: that of @ops.
 */
int ept12_walk(const struct ept12_format *f, u64 eptp, u64 gpa2, u32 access,
	       const struct ept12_ops *ops, void *ctx, struct ept12_walk *out);

/**
 * struct ept12_tables - the tables that the last look came through, for looks at many addresses
 *
 * 16 KiB. Its copies are as old as the sweep.
 */
struct ept12_tables {
	bool valid[EPT_LEVELS];
	u64 gpa1[EPT_LEVELS];
	u64 entry[EPT_LEVELS][EPT_ENTRIES];
};

/* Before a sweep */
static inline void ept12_tables_init(struct ept12_tables *tables)
{
	int i;

	for (i = 0; i < EPT_LEVELS; i++)
		tables->valid[i] = false;
}

/**
 * ept12_look() - ept12_walk() with access 0, that reads whole tables and keeps them
 * @read_table: copy the 4 KiB at @gpa1. 0; -EFAULT as read8; another errno ends the look with it
 *
 * For a sweep upward each table is read once.
 */
int ept12_look(const struct ept12_format *f, u64 eptp, u64 gpa2, struct ept12_tables *tables,
	       int (*read_table)(void *ctx, u64 gpa1, u64 *entry), void *ctx,
	       struct ept12_walk *out);

/* What may be mapped of a translation, so that EPT12's dirty flag stays right */
static inline u64 ept12_map_rights(const struct ept12_walk *w)
{
	return w->dirty ? w->rights : w->rights & ~EPT_W;
}

#endif
