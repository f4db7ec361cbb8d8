/* SPDX-License-Identifier: GPL-2.0-only */
/* msr_filter.h - MSRs that the VMM keeps from its guest, KVM_X86_SET_MSR_FILTER. */
#ifndef _EMYS_VMX_MSR_FILTER_H
#define _EMYS_VMX_MSR_FILTER_H

#include <linux/kvm.h>
#include <linux/types.h>

struct emys_vm;

/* One allocation: the bitmaps lie behind it. */
struct msr_filter {
	bool deny;			/* what no range has; else it is allowed */
	unsigned int nr;
	struct msr_range {
		u32 flags;		/* KVM_MSR_FILTER_READ, _WRITE: which it is about */
		u32 base, nmsrs;
		unsigned long *bitmap;	/* 1: allowed */
	} ranges[KVM_MSR_FILTER_MAX_RANGES];
	unsigned long bits[];
};

/* Takes @f over, from kmalloc(); NULL: all is allowed. vm->lock held; may sleep. */
void msr_filter_set(struct emys_vm *vm, struct msr_filter *f);
/* @access: KVM_MSR_FILTER_READ or _WRITE. Any context. */
bool msr_filter_allows(struct emys_vm *vm, u32 msr, u32 access);

#endif
