// SPDX-License-Identifier: GPL-2.0-only
/* Table pages from the kernel's page allocator */

#include <linux/gfp.h>
#include <linux/mm.h>

#include "table.h"

void *ept_page_alloc(void)
{
	return (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
}

void ept_page_free(void *page)
{
	set_page_private(virt_to_page(page), 0);
	free_page((unsigned long)page);
}

void ept_page_set_next(void *page, void *next)
{
	set_page_private(virt_to_page(page), (unsigned long)next);
}

void *ept_page_next(void *page)
{
	return (void *)page_private(virt_to_page(page));
}
