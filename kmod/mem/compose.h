/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * compose.h - one translation out of two: gpa2 to gpa1, and gpa1 to memory. Included by derived.h.
 *
 * Pure: derived_compose() also compiles in userspace.
 */
#ifndef _EMYS_MEM_COMPOSE_H
#define _EMYS_MEM_COMPOSE_H

#include "../ept/ept.h"

/**
 * struct mem_derived_leaf - a translation from gpa2 to gpa1, as its owner has it
 * @gpa1: bytes, with the offset of the gpa2 asked for
 * @level: of the translation, 1..3; gpa1 and gpa2 have the same offset in it
 * @rights: EPT_R | EPT_W | EPT_X; without EPT_W where the owner wants to see the next write
 *
 * Its memory type is not asked for: the memory is the host's, and what maps it there, write-back
 * whatever a guest says, maps it here.
 */
struct mem_derived_leaf {
	u64 gpa1;
	int level;
	u64 rights;
};

/**
 * struct derived_map - what to map
 * @gpa2, @hpa: bytes, first of the leaf
 * @first: gpa1 frame, first of the leaf
 * @level, @prot, @memtype, @flags: for ept_map()
 */
struct derived_map {
	gpa_t gpa2;
	hpa_t hpa;
	gfn_t first;
	int level;
	u64 prot;
	unsigned int memtype;
	unsigned int flags;
};

/**
 * derived_compose() - the leaf that maps @gpa2 for @access
 * @fmt: of the hierarchy that gets it
 * @outer: gpa2 to gpa1
 * @entry, @level: the leaf of EPT01 that maps gpa1
 * @access: EPT_R | EPT_W | EPT_X
 *
 * Size: the smaller of both, or what @fmt allows. Rights: the AND. Memory type: @entry's. The
 * accessed flag is set, and for a write the dirty flag, which saves the CPU the writes.
 *
 * Return: 0; -EACCES when @entry does not allow @access; -EINVAL when @outer does not, or has
 * addresses that do not fit its size, or execute without read where @fmt has no such.
 */
int derived_compose(const struct ept_format *fmt, u64 gpa2, const struct mem_derived_leaf *outer,
		    u64 entry, int level, u32 access, struct derived_map *map);

#endif
