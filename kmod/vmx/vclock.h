/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vclock.h - what msr.c and dev/ ask of clock.c beyond vmx.h.
 */
#ifndef _EMYS_VMX_VCLOCK_H
#define _EMYS_VMX_VCLOCK_H

#include <linux/types.h>

struct emys_vcpu;

/* A new offset of this vCPU's TSC; the pages follow by request. [V] Never sleeps. */
void clock_set_offset(struct emys_vcpu *vcpu, u64 offset);
/* MSR_KVM_SYSTEM_TIME: the page is written at the next entry. Never sleeps. */
void clock_request_page(struct emys_vcpu *vcpu);
/* KVM_KVMCLOCK_CTRL: tell the guest that it was stopped. [V] May sleep. -EINVAL no kvmclock. */
int clock_guest_stopped(struct emys_vcpu *vcpu);

#endif
