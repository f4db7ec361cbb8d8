// SPDX-License-Identifier: GPL-2.0-only
/*
 * L2's TSC, and the VMX-preemption timer: while L2 runs, its CPU counts the timer down; while it
 * halts, one of the host's ends the sleep. SDM volume 3, "VMX-Preemption Timer".
 */
#include <linux/math64.h>

#include "../compat/hrtimer.h"
#include "../emys.h"
#include "internal.h"

/* What is left of it, by L1's TSC. */
static u32 timer_left(const struct emys_vcpu *vcpu)
{
	u64 now = nested_timer_now(vcpu), deadline = vcpu->nested->timer_deadline;

	return now < deadline ? min_t(u64, deadline - now, U32_MAX) : 0;
}

/* Does L1 multiply what L2 reads? Without an offset it cannot. */
static bool scales12(const struct vmcs12 *v)
{
	return n12_proc(v, CPU_BASED_USE_TSC_OFFSETTING) &&
	       n12_proc2(v, SECONDARY_EXEC_TSC_SCALING);
}

bool nested_tsc_scales(const struct emys_vcpu *vcpu)
{
	return vcpu->vmx.tsc_ratio || scales12(vcpu->nested->v12);
}

/* "Use TSC scaling": what L1 reads is multiplied, its offset with it. */
static u64 l2_tsc_offset(const struct emys_vcpu *vcpu)
{
	const struct vmcs12 *v = vcpu->nested->v12;
	u64 offset = vcpu->vmx.tsc_offset;

	if (scales12(v))
		offset = mul_s64_u64_shr(offset, v->tsc_multiplier, VMX_TSC_FRACTION);
	return offset + (n12_proc(v, CPU_BASED_USE_TSC_OFFSETTING) ? v->tsc_offset : 0);
}

static u64 l2_tsc_ratio(const struct emys_vcpu *vcpu)
{
	const struct vmcs12 *v = vcpu->nested->v12;
	u64 ratio = vcpu->vmx.tsc_ratio;

	if (!scales12(v))
		return ratio;
	if (!ratio)
		return v->tsc_multiplier;
	/* A VM entry takes no 0, which is what is left of two small ones, or of two too large. */
	return mul_u64_u64_shr(ratio, v->tsc_multiplier, VMX_TSC_FRACTION) ?: 1;
}

void nested_tsc_load(struct emys_vcpu *vcpu)
{
	struct nested_vcpu *n = vcpu->nested;
	bool scales = nested_tsc_scales(vcpu);

	if (scales)
		vmcs_write64(TSC_MULTIPLIER, l2_tsc_ratio(vcpu));
	vmx_exec2_update(vcpu, scales ? SECONDARY_EXEC_TSC_SCALING : 0, SECONDARY_EXEC_TSC_SCALING);
	vmcs_write64(TSC_OFFSET, l2_tsc_offset(vcpu));
	n->tsc_offset_02 = vcpu->vmx.tsc_offset;
	n->tsc_ratio_02 = vcpu->vmx.tsc_ratio;
}

bool nested_timer_expired(const struct emys_vcpu *vcpu)
{
	return vcpu->nested->timer_on && !timer_left(vcpu);
}

void nested_timer_load(struct emys_vcpu *vcpu)
{
	u32 left;

	if (!vcpu->nested->timer_on)
		return;
	left = timer_left(vcpu);
	/* The CPU counts by the host's TSC. What it is early or late by is looked at then. */
	if (vcpu->vmx.tsc_ratio)
		left = min_t(u64, mul_u64_u32_div(left, tsc_khz, vcpu->vmx.tsc_khz), U32_MAX);
	vmcs_write32(VMX_PREEMPTION_TIMER_VALUE, left);
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
	u64 tsc, ns;

	/* It counts in wait-for-SIPI too, and is no exit there. */
	if (!n->timer_on || vcpu->mp_state != KVM_MP_STATE_HALTED)
		return;
	tsc = (u64)timer_left(vcpu) << nested_timer_rate(&n->caps);
	ns = mul_u64_u32_div(tsc, NSEC_PER_MSEC, vcpu->vmx.tsc_khz);
	hrtimer_start(&n->timer_wake, ns_to_ktime(ns), HRTIMER_MODE_REL_PINNED_HARD);
}

void nested_sleep_ends(struct emys_vcpu *vcpu)
{
	hrtimer_cancel(&vcpu->nested->timer_wake);
}
