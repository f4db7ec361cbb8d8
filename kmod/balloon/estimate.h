/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * estimate.h - averages: the working set, shareability, and the idle-memory tax. Pure;
 * private to balloon/ and, by itself, usable in userspace.
 *
 * Source: Waldspurger, "Memory Resource Management in VMware ESX Server", OSDI 2002.
 */
#ifndef _EMYS_BALLOON_ESTIMATE_H
#define _EMYS_BALLOON_ESTIMATE_H

#include <linux/types.h>

#define ESTIMATE_ONE	(1024u * 1024)	/* a fraction of 1 */

/**
 * struct working_set - how much of a VM's memory is in use; all zero: nothing known
 * @slow, @fast: moving averages of the fraction, in 1/ESTIMATE_ONE
 * @last: the newest sample
 * @known: there was one
 */
struct working_set {
	u32 slow, fast, last;
	bool known;
};

/* One sample: @active of @total pages were used in the period. @total 0 is no sample. */
void working_set_add(struct working_set *ws, u64 active, u64 total);
/*
 * The estimate in pages of @total. The maximum of both averages and the newest sample: growth
 * shows at once, shrinking only when it lasts. Nothing known: all of it is used.
 */
u64 working_set_pages(const struct working_set *ws, u64 total);

/* A moving average in permille. @known: @old is one already. */
u32 share_average(u32 old, bool known, u32 sample);

/*
 * What a VM pays per page, shares-per-page adjusted by the tax: rho = S / (P (f + k (1 - f))),
 * k = 1 / (1 - tax). Who pays least gives first. In 2^-32; @pages 0 gives ~0. @shares up to
 * 1000000, @tax_permille up to 999, @active more than @pages counts as @pages.
 */
u64 idle_tax_price(u64 shares, u64 pages, u64 active, u32 tax_permille);

#endif
