/* SPDX-License-Identifier: GPL-2.0-only */
/* splitlock.h - a guest's split lock, where the host has the CPU raise #AC for them. */
#ifndef _EMYS_COMPAT_SPLITLOCK_H
#define _EMYS_COMPAT_SPLITLOCK_H

#include <linux/printk.h>
#include <asm/cpu.h>

/*
 * What the host's policy (split_lock_detect=) says. May sleep. true: the guest may go
 * on, and its thread is not bothered again; false: it may not.
 */
static inline bool compat_guest_split_lock(unsigned long ip)
{
#if defined(HAVE_GUEST_SPLIT_LOCK) && defined(CONFIG_CPU_SUP_INTEL)
	return handle_guest_split_lock(ip);
#else
	/* The kernel keeps its handler to KVM, and the CPU cannot be told for one task alone. */
	pr_warn_once("a guest took a split lock at 0x%lx and is stopped; split_lock_detect=off lets them\n",
		     ip);
	return false;
#endif
}

#endif
