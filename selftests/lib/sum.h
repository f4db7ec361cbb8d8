/* SPDX-License-Identifier: GPL-2.0-only */
/* sum: a guest whose result only comes out right if no state gets lost */
#ifndef _SUM_H
#define _SUM_H

#include "vmm.h"

/*
 * Run the guest with this seed on VCPU, through some exits in the kernel and
 * some to the VMM, to its end, and compare with the host's own result. Any
 * difference ends the case. Signals in between are not an error.
 */
void sum_run(struct vcpu *vcpu, u64 seed);
/* the same in steps: begin, then step until it returns 1 */
void sum_begin(struct vcpu *vcpu, u64 seed);
int sum_step(struct vcpu *vcpu, u64 seed);

#endif /* _SUM_H */
