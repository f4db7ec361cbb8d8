// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupt messages: who is meant, and how each local APIC accepts them.
 */
#include "emys.h"
#include "irqchip/chip.h"
#include "irqchip/lapic.h"

/* Make @vcpu look at its APIC; its own thread does so anyway before it enters. */
static void notify(struct emys_vcpu *vcpu, struct emys_vcpu *src)
{
	emys_vcpu_request(vcpu, EMYS_REQ_EVENT);
	if (vcpu != src)
		emys_vcpu_kick(vcpu);
}

static void post(struct emys_vcpu *vcpu, struct emys_vcpu *src, u8 vector, bool level)
{
	struct emys_lapic *l = vcpu->lapic;

	if (level)
		set_bit(vector, l->tmr_post);
	else
		clear_bit(vector, l->tmr_post);
	set_bit(vector, l->pir);	/* after its trigger mode: both are full barriers on x86 */
	smp_mb__after_atomic();		/* pairs with take_posted() */
	WRITE_ONCE(l->pir_pending, true);
	notify(vcpu, src);
}

/* "Determining IPI Destination" */
static bool matches(struct emys_vcpu *vcpu, const struct lapic_msg *msg)
{
	struct emys_lapic *l = vcpu->lapic;
	bool x2apic = lapic_x2apic(l);
	u32 dest = msg->dest, ldr, dfr;

	/* KVM_CAP_X2APIC_API: in x2APIC mode 0xff is an ID or a cluster's mask, not everybody */
	if (msg->x2apic ? dest == ~0u : dest == 0xff && !(x2apic && vcpu->vm->x2apic_api))
		return true;
	if (!msg->logical)
		return dest == vcpu->id;
	if (x2apic) {
		ldr = lapic_x2apic_ldr(vcpu->id);
		return dest >> 16 == ldr >> 16 && (dest & ldr & 0xffff);
	}
	if (dest > 0xff)
		return false;
	ldr = lapic_reg(l, APIC_LDR) >> 24;
	dfr = lapic_reg(l, APIC_DFR) >> 28;
	if (dfr == 0xf)
		return dest & ldr;
	if (dfr == 0)
		return dest >> 4 == ldr >> 4 && (dest & ldr & 0xf);
	return false;
}

/* One APIC takes the message, or not. */
static bool accept(struct emys_vcpu *vcpu, struct emys_vcpu *src, const struct lapic_msg *msg)
{
	struct emys_lapic *l = vcpu->lapic;

	if (!l || !lapic_hw_enabled(l))
		return false;
	switch (msg->delivery) {
	case DM_FIXED:
	case DM_LOWEST:
		if (!lapic_sw_enabled(l))
			return false;
		if (msg->vector < 16) {
			WRITE_ONCE(l->esr_post, true);
			notify(vcpu, src);
			return false;
		}
		post(vcpu, src, msg->vector, msg->level);
		return true;
	case DM_NMI:
		atomic_inc(&vcpu->nmi_queued);
		emys_vcpu_request(vcpu, EMYS_REQ_NMI);
		notify(vcpu, src);
		return true;
	case DM_INIT:
		if (msg->level && !msg->assert)
			return true;	/* de-assert: no effect since the Pentium 4 */
		/* a SIPI from before the INIT is void */
		clear_bit(LAPIC_EV_SIPI, &l->events);
		set_bit(LAPIC_EV_INIT, &l->events);
		emys_vcpu_request(vcpu, EMYS_REQ_KICK);
		notify(vcpu, src);
		return true;
	case DM_SIPI:
		WRITE_ONCE(l->sipi_vector, msg->vector);
		smp_wmb();	/* pairs with the test in lapic_accept_events() */
		set_bit(LAPIC_EV_SIPI, &l->events);
		emys_vcpu_request(vcpu, EMYS_REQ_KICK);
		notify(vcpu, src);
		return true;
	default:
		/* SMI: there is no SMM. ExtINT: the PIC's output reaches LINT0 by itself. */
		return false;
	}
}

void lapic_local(struct emys_vcpu *vcpu, const struct lapic_msg *msg)
{
	accept(vcpu, NULL, msg);
}

/* Lowest task priority wins; equals take turns. */
static int deliver_lowest(struct emys_vm *vm, struct emys_vcpu *src, const struct lapic_msg *msg)
{
	struct emys_vcpu *vcpu, *best = NULL;
	unsigned int i, n = READ_ONCE(vm->nr_vcpus), start = 0;
	u32 best_key = ~0u;

	if (vm->irqchip && n)
		start = (u32)atomic_inc_return(&vm->irqchip->lowest_turn) % n;
	emys_for_each_vcpu(i, vcpu, vm) {
		struct emys_lapic *l = vcpu->lapic;
		u32 key;

		if (!l || !lapic_hw_enabled(l) || !lapic_sw_enabled(l))
			continue;
		if (msg->shorthand == 3 ? vcpu == src : !msg->shorthand && !matches(vcpu, msg))
			continue;
		key = (lapic_reg(l, APIC_TASKPRI) & 0xf0) << 16;
		key |= i >= start ? i - start : i + n - start;
		if (key < best_key) {
			best_key = key;
			best = vcpu;
		}
	}
	return best && accept(best, src, msg);
}

int lapic_deliver(struct emys_vm *vm, struct emys_vcpu *src, const struct lapic_msg *msg)
{
	struct emys_vcpu *vcpu;
	unsigned int i;
	int n = 0;

	if (msg->shorthand == 1)
		return src && accept(src, src, msg);
	if (!msg->shorthand && !msg->logical && msg->dest != (msg->x2apic ? ~0u : 0xff)) {
		vcpu = emys_vcpu_by_apic_id(vm, msg->dest);
		return vcpu && accept(vcpu, src, msg);
	}
	if (msg->delivery == DM_LOWEST)
		return deliver_lowest(vm, src, msg);
	emys_for_each_vcpu(i, vcpu, vm) {
		if (!vcpu->lapic || (msg->shorthand == 3 && vcpu == src))
			continue;
		if (msg->shorthand || matches(vcpu, msg))
			n += accept(vcpu, src, msg);
	}
	return n;
}

void lapic_send_icr(struct emys_lapic *l, u32 low, u32 high)
{
	struct lapic_msg msg = {
		.vector = low,
		.delivery = low >> 8 & 7,
		.logical = low & APIC_DEST_LOGICAL,
		.assert = low & APIC_INT_ASSERT,
		.shorthand = low >> 18 & 3,
		.x2apic = lapic_x2apic(l),
	};

	msg.dest = msg.x2apic ? high : high >> 24;
	/* the trigger mode means something for INIT de-assert alone */
	msg.level = msg.delivery == DM_INIT && (low & APIC_INT_LEVELTRIG);
	if ((msg.delivery == DM_FIXED || msg.delivery == DM_LOWEST) && msg.vector < 16) {
		lapic_error(l, ESR_SEND_ILLEGAL);
		return;
	}
	/* "Valid Combinations for the ... Local APIC's Interrupt Command Register" */
	if ((msg.delivery == DM_INIT || msg.delivery == DM_SIPI) &&
	    (msg.shorthand == 1 || msg.shorthand == 2))
		return;
	lapic_deliver(l->vcpu->vm, l->vcpu, &msg);
}
