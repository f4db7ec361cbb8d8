// SPDX-License-Identifier: GPL-2.0-only
/*
 * The local APIC as a whole: creation, reset, mode, INIT and SIPI, saved state.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "emys.h"
#include "irqchip/chip.h"
#include "irqchip/lapic.h"

int lapic_create(struct emys_vcpu *vcpu)
{
	struct emys_lapic *l = kzalloc(sizeof(*l), GFP_KERNEL_ACCOUNT);

	if (!l)
		return -ENOMEM;
	l->regs = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!l->regs) {
		kfree(l);
		return -ENOMEM;
	}
	l->vcpu = vcpu;
	l->highest_isr = -1;
	lapic_timer_init(l);
	vcpu->lapic = l;
	lapic_reset(vcpu, false);
	return 0;
}

void lapic_destroy(struct emys_vcpu *vcpu)
{
	struct emys_lapic *l = vcpu->lapic;

	if (!l)
		return;
	hrtimer_cancel(&l->timer.timer);
	free_page((unsigned long)l->regs);
	vcpu->lapic = NULL;
	kfree(l);
}

static bool is_bsp(struct emys_vcpu *vcpu)
{
	return vcpu->id == vcpu->vm->bsp_id;
}

/* ID and what follows from it, in the form of the mode in force. */
static void set_ids(struct emys_lapic *l)
{
	u32 id = l->vcpu->id;

	if (lapic_x2apic(l)) {
		lapic_set_reg(l, APIC_ID, id);
		lapic_set_reg(l, APIC_LDR, lapic_x2apic_ldr(id));
	} else {
		lapic_set_reg(l, APIC_ID, id << 24);
	}
}

/* "Local APIC State After Power-Up or Reset" */
static void reset_regs(struct emys_lapic *l)
{
	u32 offset;
	int i;

	lapic_timer_stop(l);
	for (offset = 0; offset < 0x400; offset += 0x10)
		lapic_set_reg(l, offset, 0);
	lapic_set_reg(l, APIC_ICR + 4, 0);
	lapic_set_reg(l, APIC_LVR, LAPIC_VERSION);
	lapic_set_reg(l, APIC_DFR, 0xffffffff);
	lapic_set_reg(l, APIC_SPIV, 0xff);
	for (offset = APIC_LVTT; offset <= APIC_LVTERR; offset += 0x10)
		lapic_set_reg(l, offset, APIC_LVT_MASKED);
	set_ids(l);

	l->timer.mode = 0;
	l->timer.periodic = false;
	l->timer.divide = 2;
	l->esr_pending = 0;
	WRITE_ONCE(l->esr_post, false);
	WRITE_ONCE(l->pir_pending, false);
	for (i = 0; i < 4; i++)
		xchg(&l->pir[i], 0);
	lapic_sync(l);
}

void lapic_reset(struct emys_vcpu *vcpu, bool init)
{
	struct emys_lapic *l = vcpu->lapic;
	u64 base = LAPIC_DEFAULT_BASE | MSR_IA32_APICBASE_ENABLE;

	if (is_bsp(vcpu))
		base |= MSR_IA32_APICBASE_BSP;
	if (!init)
		WRITE_ONCE(l->base, base);
	reset_regs(l);
	/* virtual wire: the firmware has left LINT0 to the PIC */
	if (!init && is_bsp(vcpu) && emys_quirk(vcpu->vm, KVM_X86_QUIRK_LINT0_REENABLED))
		lapic_set_reg(l, APIC_LVT0, APIC_DM_EXTINT);
	if (!init)
		WRITE_ONCE(l->events, 0);
	emys_vcpu_request(vcpu, EMYS_REQ_APICV);
	emys_vcpu_request(vcpu, EMYS_REQ_EVENT);
}

int lapic_set_base(struct emys_vcpu *vcpu, u64 base, bool host)
{
	const u64 modes = MSR_IA32_APICBASE_ENABLE | X2APIC_ENABLE;
	struct emys_lapic *l = vcpu->lapic;
	u64 old = l->base, allowed;
	u8 width = vcpu->feat.maxphyaddr;

	if (!width)
		width = 52;	/* no CPUID yet */
	allowed = GENMASK_ULL(clamp(width, (u8)32, (u8)52) - 1, 12) |
		  MSR_IA32_APICBASE_BSP | MSR_IA32_APICBASE_ENABLE;
	if (host || vcpu->feat.has_x2apic)
		allowed |= X2APIC_ENABLE;
	if (base & ~allowed || (base & modes) == X2APIC_ENABLE)
		return -EPERM;
	/* "x2APIC State Transitions" */
	if (!host) {
		if ((old & modes) == modes && (base & modes) == MSR_IA32_APICBASE_ENABLE)
			return -EPERM;
		if (!(old & modes) && (base & modes) == modes)
			return -EPERM;
	}
	if (base == old)
		return 0;
	WRITE_ONCE(l->base, base);
	if ((old ^ base) & modes) {
		if (!host && !(base & MSR_IA32_APICBASE_ENABLE))
			reset_regs(l);		/* its state is lost while it is off */
		set_ids(l);
		if (base & ~old & X2APIC_ENABLE) {
			lapic_set_reg(l, APIC_ICR2, 0);
			lapic_set_reg(l, APIC_ICR + 4, 0);
		}
		if (old & ~base & X2APIC_ENABLE)
			lapic_set_reg(l, APIC_LDR, 0);
	}
	vmx_apic_mode_changed(vcpu);
	emys_vcpu_request(vcpu, EMYS_REQ_APICV);
	emys_vcpu_request(vcpu, EMYS_REQ_EVENT);
	return 0;
}

bool lapic_accept_events(struct emys_vcpu *vcpu)
{
	struct emys_lapic *l = vcpu->lapic;
	bool changed = false;

	if (!READ_ONCE(l->events))
		return false;
	if (test_and_clear_bit(LAPIC_EV_INIT, &l->events)) {
		emys_vcpu_reset(vcpu, true);
		vcpu->mp_state = l->base & MSR_IA32_APICBASE_BSP ? KVM_MP_STATE_RUNNABLE :
								   KVM_MP_STATE_INIT_RECEIVED;
		changed = true;
	}
	/* a SIPI counts only while the CPU waits for one, as APs do from power-up on */
	if (test_and_clear_bit(LAPIC_EV_SIPI, &l->events) &&
	    (vcpu->mp_state == KVM_MP_STATE_INIT_RECEIVED ||
	     vcpu->mp_state == KVM_MP_STATE_UNINITIALIZED)) {
		smp_rmb();	/* pairs with accept() */
		vmx_sipi(vcpu, READ_ONCE(l->sipi_vector));
		vcpu->mp_state = KVM_MP_STATE_RUNNABLE;
		changed = true;
	}
	return changed;
}

void lapic_get_state(struct emys_vcpu *vcpu, struct kvm_lapic_state *s)
{
	struct emys_lapic *l = vcpu->lapic;
	u32 *regs = (u32 *)s->regs;

	lapic_fold(l);
	memcpy(s->regs, l->regs, sizeof(s->regs));
	regs[APIC_TMCCT / 4] = lapic_timer_count(l);
	regs[APIC_PROCPRI / 4] = lapic_read(vcpu, APIC_PROCPRI);
	if (lapic_x2apic(l)) {
		regs[APIC_ID / 4] = vcpu->vm->x2apic_api ? vcpu->id : vcpu->id << 24;
		regs[APIC_ICR2 / 4] = regs[APIC_ICR / 4 + 1];
		regs[APIC_ICR / 4 + 1] = 0;
	}
}

int lapic_set_state(struct emys_vcpu *vcpu, const struct kvm_lapic_state *s)
{
	struct emys_lapic *l = vcpu->lapic;
	const u32 *regs = (const u32 *)s->regs;
	bool x2apic = lapic_x2apic(l);
	u32 id = regs[APIC_ID / 4], offset;

	/* an ID the guest cannot have: xAPIC ones are 8 bits at the top */
	if (x2apic ? vcpu->vm->x2apic_api && id != vcpu->id : id != vcpu->id << 24)
		return -EINVAL;

	reset_regs(l);
	lapic_set_reg(l, APIC_TASKPRI, regs[APIC_TASKPRI / 4] & 0xff);
	lapic_set_reg(l, APIC_SPIV, regs[APIC_SPIV / 4] & 0x3ff);
	lapic_set_reg(l, APIC_ESR, regs[APIC_ESR / 4] & 0xff);
	lapic_set_reg(l, APIC_ICR, regs[APIC_ICR / 4] & ~LAPIC_ICR_BUSY);
	lapic_set_reg(l, APIC_TMICT, regs[APIC_TMICT / 4]);
	lapic_set_reg(l, APIC_TDCR, regs[APIC_TDCR / 4] & 0xb);
	if (x2apic) {
		lapic_set_reg(l, APIC_ICR + 4, regs[APIC_ICR2 / 4]);
	} else {
		lapic_set_reg(l, APIC_ICR2, regs[APIC_ICR2 / 4] & 0xff000000);
		lapic_set_reg(l, APIC_LDR, regs[APIC_LDR / 4] & 0xff000000);
		lapic_set_reg(l, APIC_DFR, regs[APIC_DFR / 4] | 0x0fffffff);
	}
	/* masks as given: a VMM leaves LINT0 open to the PIC before SVR enables the APIC */
	for (offset = APIC_LVTT; offset <= APIC_LVTERR; offset += 0x10)
		lapic_set_reg(l, offset, regs[offset / 4] & lapic_lvt_mask(offset));
	for (offset = 0; offset < 0x80; offset += 0x10) {
		/* vectors 0 to 15 cannot get in there, but are kept: of class 0, they never come */
		lapic_set_reg(l, APIC_ISR + offset, regs[(APIC_ISR + offset) / 4]);
		lapic_set_reg(l, APIC_TMR + offset, regs[(APIC_TMR + offset) / 4]);
		lapic_set_reg(l, APIC_IRR + offset, regs[(APIC_IRR + offset) / 4]);
	}
	lapic_sync(l);
	lapic_timer_resume(l, regs[APIC_TMCCT / 4]);
	emys_vcpu_request(vcpu, EMYS_REQ_APICV);
	emys_vcpu_request(vcpu, EMYS_REQ_EOIMAP);
	emys_vcpu_request(vcpu, EMYS_REQ_EVENT);
	return 0;
}
