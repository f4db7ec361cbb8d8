// SPDX-License-Identifier: GPL-2.0-only
/*
 * L2's TSC, and the VMX-preemption timer: while L2 runs, its CPU counts the timer down; while it
 * halts, one of the host's ends the sleep. SDM volume 3, "VMX-Preemption Timer".
 */
#include <linux/math64.h>

#include "../compat/hrtimer.h"
#include "../emys.h"
#include "internal.h"

#define TSC_FRACTION	48	/* bits of the multiplier behind the point */

/* What is left of it, as the VMCS has it. */
static u32 timer_left(const struct emys_vcpu *vcpu)
{
	u64 now = nested_timer_now(vcpu), deadline = vcpu->nested->timer_deadline;

	return now < deadline ? min_t(u64, deadline - now, U32_MAX) : 0;
}

u64 nested_l2_tsc_offset(const struct emys_vcpu *vcpu)
{
	const struct vmcs12 *v = vcpu->nested->v12;
	u64 offset = vcpu->vmx.tsc_offset;

	if (!n12_proc(v, CPU_BASED_USE_TSC_OFFSETTING))
		return offset;
	/* "Use TSC scaling": what L1 reads is multiplied, its offset with it. */
	if (n12_proc2(v, SECONDARY_EXEC_TSC_SCALING))
		offset = mul_s64_u64_shr(offset, v->tsc_multiplier, TSC_FRACTION);
	return offset + v->tsc_offset;
}

bool nested_timer_expired(const struct emys_vcpu *vcpu)
{
	return vcpu->nested->timer_on && !timer_left(vcpu);
}

void nested_timer_load(struct emys_vcpu *vcpu)
{
	if (vcpu->nested->timer_on)
		vmcs_write32(VMX_PREEMPTION_TIMER_VALUE, timer_left(vcpu));
}

/* It may be early, by the host's idea of time: the sleeper looks, and sleeps again. */
static enum hrtimer_restart wake(struct hrtimer *timer)
{
	struct nested_vcpu *n = container_of(timer, struct nested_vcpu, timer_wake);

	emys_vcpu_request(n->vcpu, EMYS_REQ_KICK);
	emys_vcpu_kick(n->vcpu);
	return HRTIMER_NORESTART;
}

void nested_timer_init(struct nested_vcpu *n)
{
	compat_hrtimer_setup(&n->timer_wake, wake, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED_HARD);
}

void nested_sleep_begins(struct emys_vcpu *vcpu)
{
	struct nested_vcpu *n = vcpu->nested;
	u64 tsc;

	/* It counts in wait-for-SIPI too, and is no exit there. */
	if (!n->timer_on || vcpu->mp_state != KVM_MP_STATE_HALTED)
		return;
	tsc = (u64)timer_left(vcpu) << nested_timer_rate(&n->caps);
	hrtimer_start(&n->timer_wake, ns_to_ktime(mul_u64_u32_div(tsc, NSEC_PER_MSEC, tsc_khz)),
		      HRTIMER_MODE_REL_PINNED_HARD);
}

void nested_sleep_ends(struct emys_vcpu *vcpu)
{
	hrtimer_cancel(&vcpu->nested->timer_wake);
}
