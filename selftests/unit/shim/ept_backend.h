/* SPDX-License-Identifier: GPL-2.0-only */
/* The userspace EPT backend: an arena of table pages that a test can inspect */
#ifndef _EMYS_SHIM_EPT_BACKEND_H
#define _EMYS_SHIM_EPT_BACKEND_H

/* Pages handed out and not freed */
long backend_live(void);

/* The next allocations after @n more fail; negative: none fails */
void backend_fail_after(long n);

/*
 * Let __va() map any physical address to some page of the arena, for tables
 * of random content; otherwise an address that was never handed out aborts.
 */
void backend_wrap(int on);

/* Take all pages back, whoever holds them */
void backend_reset(void);

#endif
