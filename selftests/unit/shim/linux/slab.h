/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's allocator is libc's in userspace */
#ifndef _EMYS_SHIM_SLAB_H
#define _EMYS_SHIM_SLAB_H

#include <stdlib.h>

#define GFP_KERNEL_ACCOUNT	0

/* A test makes the next allocations fail */
extern int shim_slab_fail;

#define kvcalloc(n, size, gfp)	(shim_slab_fail ? NULL : calloc(n, size))
#define kvfree(p)		free(p)

#endif
