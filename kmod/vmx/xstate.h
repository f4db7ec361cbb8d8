/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * xstate.h - sizes of the XSAVE area, shared by fpu.c and cpuid.c.
 *
 * Source: Intel SDM volume 1, "Managing State Using the XSAVE Feature Set".
 */
#ifndef _EMYS_VMX_XSTATE_H
#define _EMYS_VMX_XSTATE_H

#include <linux/types.h>

/* Learn the CPU's layout. Idempotent: every writer writes the same. */
void xstate_init(void);
/* Bytes of an area with components @mask (bits of XCR0 | IA32_XSS). Any context. */
u32 xstate_size(u64 mask, bool compacted);

#endif
