// SPDX-License-Identifier: GPL-2.0-only
/*
 * The local APIC's timer on an hrtimer: one-shot, periodic and TSC deadline.
 *
 * The timer counts at 1 GHz, so that one count is one nanosecond. Its fields
 * are changed only by the vCPU's thread and only after hrtimer_cancel(); the
 * callback reads them, counts the expiration and kicks the vCPU, whose thread
 * turns it into the interrupt (lapic_timer_fold).
 */
#include <linux/math64.h>

#include "compat/hrtimer.h"
#include "emys.h"
#include "irqchip/lapic.h"

/* A guest cannot make the host take timer interrupts faster than this. */
#define MIN_PERIOD_NS	200000
/* A deadline further away than a year is a year away. */
#define MAX_DELAY_S	(365 * 86400ull)

static enum hrtimer_restart expired(struct hrtimer *timer)
{
	struct emys_lapic *l = container_of(timer, struct emys_lapic, timer.timer);

	/* a masked timer keeps counting, but nobody needs to wake for it */
	if (!atomic_xchg(&l->timer.pending, 1) &&
	    !(lapic_reg(l, APIC_LVTT) & APIC_LVT_MASKED)) {
		emys_vcpu_request(l->vcpu, EMYS_REQ_EVENT);
		emys_vcpu_kick(l->vcpu);
	}
	if (!l->timer.periodic)
		return HRTIMER_NORESTART;
	/* leave half a period to the guest even when the host is late */
	hrtimer_forward(timer, ktime_add_ns(ktime_get(), l->timer.period_ns / 2),
			ns_to_ktime(l->timer.period_ns));
	l->timer.target = hrtimer_get_expires(timer);
	return HRTIMER_RESTART;
}

static void cancel(struct emys_lapic *l)
{
	hrtimer_cancel(&l->timer.timer);
}

static void arm(struct emys_lapic *l, ktime_t when)
{
	l->timer.target = when;
	hrtimer_start(&l->timer.timer, when, HRTIMER_MODE_ABS_PINNED_HARD);
}

/* It is over already: no need for an interrupt of the host. */
static void expire_now(struct emys_lapic *l)
{
	atomic_set(&l->timer.pending, 1);
	emys_vcpu_request(l->vcpu, EMYS_REQ_EVENT);
}

void lapic_timer_init(struct emys_lapic *l)
{
	compat_hrtimer_setup(&l->timer.timer, expired, CLOCK_MONOTONIC,
			     HRTIMER_MODE_ABS_PINNED_HARD);
	l->timer.divide = 2;
}

void lapic_timer_stop(struct emys_lapic *l)
{
	cancel(l);
	atomic_set(&l->timer.pending, 0);
	l->timer.period_ns = 0;
	l->timer.deadline_tsc = 0;
	l->timer.target = 0;
}

/* "Divide Configuration Register": bits 3, 1 and 0; 111 divides by one */
static u32 divisor(struct emys_lapic *l)
{
	u32 dcr = lapic_reg(l, APIC_TDCR);
	u32 n = (dcr & 3) | (dcr >> 1 & 4);

	return n == 7 ? 1 : 2u << n;
}

bool lapic_timer_is_deadline(struct emys_lapic *l)
{
	return l->timer.mode == APIC_LVT_TIMER_TSCDEADLINE;
}

/* Counts left before the timer next reaches zero. */
u32 lapic_timer_count(struct emys_lapic *l)
{
	u64 late;
	s64 left;

	if (lapic_timer_is_deadline(l) || !l->timer.period_ns || !l->timer.target)
		return 0;
	left = ktime_to_ns(ktime_sub(READ_ONCE(l->timer.target), ktime_get()));
	if (left <= 0) {
		if (!l->timer.periodic)
			return 0;
		/* the callback is late: where would it be? */
		div64_u64_rem(-left, l->timer.period_ns, &late);
		left = l->timer.period_ns - late;
	}
	return min_t(u64, div_u64(left, l->timer.divide), lapic_reg(l, APIC_TMICT));
}

/* Count from @count, then, if periodic, from the initial count again. */
static void begin(struct emys_lapic *l, u32 count)
{
	u64 period = (u64)lapic_reg(l, APIC_TMICT) * l->timer.divide;

	l->timer.periodic = l->timer.mode == APIC_LVT_TIMER_PERIODIC;
	if (l->timer.periodic && period && period < MIN_PERIOD_NS)
		period = MIN_PERIOD_NS;
	l->timer.period_ns = period;
	l->timer.target = 0;
	if (!period || !count)
		return;
	arm(l, ktime_add_ns(ktime_get(), min((u64)count * l->timer.divide, period)));
}

void lapic_timer_start(struct emys_lapic *l)
{
	if (lapic_timer_is_deadline(l))
		return;
	cancel(l);
	lapic_timer_fold(l);
	begin(l, lapic_reg(l, APIC_TMICT));
}

void lapic_timer_resume(struct emys_lapic *l, u32 count)
{
	lapic_timer_stop(l);
	l->timer.divide = divisor(l);
	l->timer.mode = lapic_reg(l, APIC_LVTT) & LVT_TIMER_MODE;
	if (lapic_timer_is_deadline(l))
		return;		/* the MSR is restored by itself */
	if (!count && l->timer.mode == APIC_LVT_TIMER_PERIODIC)
		count = lapic_reg(l, APIC_TMICT);
	begin(l, count);
}

void lapic_timer_mode(struct emys_lapic *l)
{
	u32 mode = lapic_reg(l, APIC_LVTT) & LVT_TIMER_MODE;
	u32 left;

	if (mode == l->timer.mode)
		return;
	if (mode == APIC_LVT_TIMER_TSCDEADLINE || lapic_timer_is_deadline(l)) {
		/* "TSC-Deadline Mode": a switch to or from it disarms the timer */
		lapic_timer_stop(l);
		lapic_set_reg(l, APIC_TMICT, 0);
		l->timer.mode = mode;
		l->timer.periodic = false;
		return;
	}
	cancel(l);
	left = lapic_timer_count(l);
	l->timer.mode = mode;
	begin(l, left);
}

void lapic_timer_divide(struct emys_lapic *l)
{
	u32 left, divide = divisor(l);

	if (divide == l->timer.divide)
		return;
	if (lapic_timer_is_deadline(l)) {
		l->timer.divide = divide;
		return;
	}
	cancel(l);
	left = lapic_timer_count(l);
	l->timer.divide = divide;
	begin(l, left);
}

void lapic_timer_deadline(struct emys_lapic *l, u64 tsc)
{
	u64 now, delta, khz, ns, rem;

	if (!lapic_timer_is_deadline(l))
		return;
	cancel(l);
	lapic_timer_fold(l);
	l->timer.deadline_tsc = tsc;
	if (!tsc)
		return;
	now = emys_guest_tsc(l->vcpu);
	if (tsc <= now) {
		expire_now(l);
		return;
	}
	khz = max(emys_guest_tsc_khz(l->vcpu), 1u);
	delta = min(tsc - now, khz * 1000 * MAX_DELAY_S);
	ns = div64_u64_rem(delta, khz, &rem) * NSEC_PER_MSEC;
	ns += div64_u64(rem * NSEC_PER_MSEC, khz);
	arm(l, ktime_add_ns(ktime_get(), ns));
}

void lapic_tsc_changed(struct emys_vcpu *vcpu)
{
	struct emys_lapic *l = vcpu->lapic;

	if (l && lapic_timer_is_deadline(l) && l->timer.deadline_tsc &&
	    !atomic_read(&l->timer.pending))
		lapic_timer_deadline(l, l->timer.deadline_tsc);
}

void lapic_timer_fold(struct emys_lapic *l)
{
	u32 lvt;

	if (likely(!atomic_read(&l->timer.pending)))
		return;
	/* expirations that nobody took in time are one interrupt, as in IRR */
	atomic_set(&l->timer.pending, 0);
	smp_mb__after_atomic();		/* one that comes now is another interrupt */
	lvt = lapic_reg(l, APIC_LVTT);
	if (lapic_timer_is_deadline(l))
		l->timer.deadline_tsc = 0;
	if (!(lvt & APIC_LVT_MASKED))
		lapic_raise(l, lvt & 0xff);
}
