/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ipi.h - smp_send_reschedule(), which is a macro around a tracepoint since 6.4.
 */
#ifndef _EMYS_COMPAT_IPI_H
#define _EMYS_COMPAT_IPI_H

#include <linux/smp.h>
#ifdef HAVE_TRACE_IPI_SEND
#include <trace/events/ipi.h>
#endif

#endif
