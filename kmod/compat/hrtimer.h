/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * hrtimer.h - setting up an hrtimer, whichever call this kernel has.
 */
#ifndef _EMYS_COMPAT_HRTIMER_H
#define _EMYS_COMPAT_HRTIMER_H

#include <linux/hrtimer.h>

static inline void compat_hrtimer_setup(struct hrtimer *timer,
					enum hrtimer_restart (*fn)(struct hrtimer *),
					clockid_t clock, enum hrtimer_mode mode)
{
#ifdef HAVE_HRTIMER_SETUP
	hrtimer_setup(timer, fn, clock, mode);
#else
	hrtimer_init(timer, clock, mode);
	timer->function = fn;
#endif
}

#endif
