/* SPDX-License-Identifier: GPL-2.0-only */
/* Access rights of segments in a VMCS, and their checks: private to check_*.c */
#ifndef _EMYS_NESTED_SEG_H
#define _EMYS_NESTED_SEG_H

#include <linux/bits.h>
#include <linux/types.h>

struct vmcs12;
struct vmcs12_env;

#define SEG_TYPE	0xfu
#define SEG_S		0x10u		/* code or data, not a system segment */
#define SEG_P		0x80u
#define SEG_LOW_RSVD	0xf00u
#define SEG_L		0x2000u
#define SEG_DB		0x4000u
#define SEG_G		0x8000u
#define SEG_UNUSABLE	0x10000u
#define SEG_HIGH_RSVD	0xfffe0000u

static inline u32 seg_dpl(u32 ar)
{
	return ar >> 5 & 3;
}

/* "Checks on Guest Segment Registers": the first rule broken, or NULL */
const char *seg_check(const struct vmcs12 *v, const struct vmcs12_env *env);

#endif
