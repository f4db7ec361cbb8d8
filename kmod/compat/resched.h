/* SPDX-License-Identifier: GPL-2.0-only */
/* resched.h - does the host want this CPU? Since 6.13 it may also say so without hurry. */
#ifndef _EMYS_COMPAT_RESCHED_H
#define _EMYS_COMPAT_RESCHED_H

#include <linux/sched.h>
#include <linux/thread_info.h>

#ifdef _TIF_NEED_RESCHED_LAZY
#define COMPAT_TIF_RESCHED	(_TIF_NEED_RESCHED | _TIF_NEED_RESCHED_LAZY)
#else
#define COMPAT_TIF_RESCHED	_TIF_NEED_RESCHED
#endif

/*
 * Give the CPU away if it is wanted. A kernel that preempts lazily does so at the return to
 * user space, and not in cond_resched(): the way back into a guest counts as one.
 */
static inline void compat_resched(void)
{
	if (unlikely(read_thread_flags() & COMPAT_TIF_RESCHED))
		schedule();
	else
		cond_resched();
}

#endif
