/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * usermsr.h - MSRs that only matter in user mode (SYSCALL targets, TSC_AUX): the
 * guest's values stay loaded after its section, and a user-return notifier puts the
 * host's back before this CPU next runs user code. Private to vmx/.
 */
#ifndef _EMYS_VMX_USERMSR_H
#define _EMYS_VMX_USERMSR_H

struct emys_vcpu;

void usermsr_init(void);
/* Load the guest's values into this CPU. Interrupts off. */
void usermsr_load(struct emys_vcpu *vcpu);
/* Put the host's values back and drop the notifier. Interrupts off. */
void usermsr_restore(void);

#endif
