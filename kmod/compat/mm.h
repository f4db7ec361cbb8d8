/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory management of the kernels emys builds on */
#ifndef _EMYS_COMPAT_MM_H
#define _EMYS_COMPAT_MM_H

#include <linux/mm.h>

/* 6.3 made vm_flags private behind accessors. */
#ifndef HAVE_VM_FLAGS_SET
static inline void vm_flags_set(struct vm_area_struct *vma, unsigned long flags)
{
	vma->vm_flags |= flags;
}
#endif

#endif
