/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * own.h - who owns VMX operation on this CPU, and for how long; private to vmx/.
 *
 *  resident   emys entered VMX operation on every CPU when the first VM was
 *             made and leaves it with the last one. Needs the kernel's CR4
 *             helpers, because the kernel must know that CR4.VMXE is set.
 *  transient  VMXON and VMXOFF around each run section, interrupts off. CR4 is
 *             what it was before the kernel can look at it again.
 *  shared     somebody else (KVM) is in VMX operation: its current VMCS is
 *             remembered, ours is made current, and its is put back.
 *
 * Which one holds is decided anew at each entry, because KVM may take or leave
 * VMX operation at any time when the CPU is not in a section of ours.
 */
#ifndef _EMYS_VMX_OWN_H
#define _EMYS_VMX_OWN_H

#include <linux/types.h>

struct emys_vcpu;

enum vmx_own_how { VMX_OWN_NONE, VMX_OWN_RESIDENT, VMX_OWN_TRANSIENT, VMX_OWN_SHARED };

int vmx_own_init(void);		/* -ENOMEM and what cpuhp_setup_state says */
void vmx_own_exit(void);

/*
 * Interrupts off, from enter to leave. enter makes @vmcs_pa current: 0, -EBUSY another
 * owner that does not let us in, or the mode forbids it; -EIO an instruction failed.
 */
int vmx_own_enter(u64 vmcs_pa);
void vmx_own_leave(u64 vmcs_pa);

/* Is this CPU in VMX operation for emys alone? Interrupts off. */
bool vmx_own_resident(void);

/* The vCPU whose VMCS is current on this CPU, or NULL. Interrupts off. */
struct emys_vcpu *vmx_own_vcpu(void);
void vmx_own_set_vcpu(struct emys_vcpu *vcpu);

/* In words, for dmesg and debugfs: the mode a section would use now. */
const char *vmx_own_describe(void);

#endif
