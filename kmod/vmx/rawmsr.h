/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * rawmsr.h - RDMSR and WRMSR as the bare instruction, private to vmx/.
 *
 * A run section reads and writes some fifteen MSRs that every CPU emys accepts has. The
 * kernel's accessors go through paravirt and tracing, which costs more than the
 * rest of the section's bookkeeping. A write that faults is skipped: the value
 * was the guest's and the guest lives with it.
 */
#ifndef _EMYS_VMX_RAWMSR_H
#define _EMYS_VMX_RAWMSR_H

#include <linux/types.h>
#include <asm/asm.h>

static __always_inline u64 raw_rdmsr(u32 msr)
{
	u32 low, high;

	asm volatile("rdmsr" : "=a" (low), "=d" (high) : "c" (msr));
	return low | (u64)high << 32;
}

static __always_inline void raw_wrmsr(u32 msr, u64 val)
{
	asm volatile("1: wrmsr\n2:\n"
		     _ASM_EXTABLE(1b, 2b)
		     : : "c" (msr), "a" ((u32)val), "d" ((u32)(val >> 32)) : "memory");
}

#endif
