/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * usermsr.h - MSRs that only matter in user mode (SYSCALL targets, TSC_AUX): the
 * guest's values stay loaded after its section, and a user-return notifier puts the
 * host's back before this CPU next runs user code. Private to vmx/.
 *
 * So lazily only where nobody else does the same (resident ownership). KVM
 * keeps its guests' values loaded too, remembers which, and takes what it finds when it
 * starts for the host's: beside it, a section leaves the MSRs as it found them.
 */
#ifndef _EMYS_VMX_USERMSR_H
#define _EMYS_VMX_USERMSR_H

struct emys_vcpu;

void usermsr_init(void);
/* A section begins and ends: load the guest's values; if not @lazy, put back what was there. */
void usermsr_enter(struct emys_vcpu *vcpu, bool lazy);
void usermsr_leave(void);
/* In a section, a value of the guest's changed. Interrupts off, as for all of these. */
void usermsr_load(struct emys_vcpu *vcpu);
/* Put the host's values back and drop the notifier. Interrupts off. */
void usermsr_restore(void);

#endif
