/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * mce.h - the machine-check banks of a vCPU, as the VMM sets them up. Part of msr.c.
 *
 * Source: Intel SDM volume 3, "Machine-Check Architecture"; api.rst, KVM_X86_SETUP_MCE.
 */
#ifndef _EMYS_VMX_MCE_H
#define _EMYS_VMX_MCE_H

#include <linux/kvm.h>
#include <linux/types.h>
#include <asm/mce.h>

#define MCE_BANKS		32
/* Bits of MCG_CAP a guest may have, the number of banks apart. */
#define MCE_CAP_SUPPORTED	(MCG_CTL_P | MCG_SER_P)

struct emys_vcpu;

/* KVM_X86_SETUP_MCE. [V] -EINVAL no bank, too many, or an unknown bit. */
int vmce_setup(struct emys_vcpu *vcpu, u64 mcg_cap);
/* KVM_X86_SET_MCE: log an error, raise #MC if it is uncorrected. [V] -EINVAL bank, status. */
int vmce_inject(struct emys_vcpu *vcpu, const struct kvm_x86_mce *mce);

#endif
