/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * eventfd.h - adding one to an eventfd, whichever form this kernel has.
 */
#ifndef _EMYS_COMPAT_EVENTFD_H
#define _EMYS_COMPAT_EVENTFD_H

#include <linux/eventfd.h>

static inline void compat_eventfd_signal(struct eventfd_ctx *ctx)
{
#ifdef HAVE_EVENTFD_SIGNAL_1ARG
	eventfd_signal(ctx);
#else
	eventfd_signal(ctx, 1);
#endif
}

#endif
