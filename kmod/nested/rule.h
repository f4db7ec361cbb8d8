/* SPDX-License-Identifier: GPL-2.0-only */
/* How the checks of VM entry are written: private to check_*.c */
#ifndef _EMYS_NESTED_RULE_H
#define _EMYS_NESTED_RULE_H

#include <linux/types.h>
#include <asm/msr-index.h>
#include <asm/processor-flags.h>

#include "check.h"

/*
 * One rule of the manual, in its order, in a function with a local
 * "const char *broken = NULL" that it returns. After a broken rule no other is looked at.
 */
#define NEED(rule, text)	(broken = broken ?: (rule) ? NULL : (text))
#define IMPLIES(a, b)		(!(a) || (b))

static inline bool phys_ok(u64 addr, const struct vmcs12_env *env)
{
	return !(addr >> env->maxphyaddr);
}

static inline bool page_ok(u64 addr, const struct vmcs12_env *env)
{
	return !(addr & 0xfff) && phys_ok(addr, env);
}

static inline bool canonical(u64 addr, const struct vmcs12_env *env)
{
	int unused = 64 - env->linear_bits;

	return (u64)((s64)(addr << unused) >> unused) == addr;
}

/* Eight memory types, of which 2, 3 and 8 on are none */
static inline bool pat_ok(u64 pat)
{
	const u64 each = 0x0101010101010101ULL;

	return !(pat & 0xf8 * each) && !(pat >> 1 & ~(pat >> 2) & each);
}

/* A control register keeps the bits that VMX operation fixes. */
static inline bool fixed_ok(u64 cr, u64 fixed0, u64 fixed1)
{
	return (cr & fixed0) == fixed0 && !(cr & ~fixed1);
}

/* Not in every kernel's <asm/processor-flags.h> */
#define RULE_CR4_CET	BIT_ULL(23)

#endif
