/* SPDX-License-Identifier: GPL-2.0-only */
/* mce.h - hand a machine check that hit a guest to the host's handler, where it has one. */
#ifndef _EMYS_COMPAT_MCE_H
#define _EMYS_COMPAT_MCE_H

#include <asm/mce.h>
#include <asm/ptrace.h>

/*
 * As if user code had been hit: what can be recovered by ending a process is, and
 * the host does not panic over a guest's memory. Interrupts off.
 */
static inline void compat_machine_check(void)
{
#ifdef CONFIG_X86_MCE
	struct pt_regs regs = { .cs = 3, .flags = X86_EFLAGS_IF };

	do_machine_check(&regs);
#endif
}

#endif
