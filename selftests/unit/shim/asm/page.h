/* SPDX-License-Identifier: GPL-2.0-only */
/* Physical addresses of the userspace EPT backend */
#ifndef _EMYS_SHIM_PAGE_H
#define _EMYS_SHIM_PAGE_H

#include <linux/types.h>

u64 shim_pa(const void *page);
void *shim_va(u64 pa);

#define __pa(p)	shim_pa(p)
#define __va(p)	shim_va(p)

#endif
