// SPDX-License-Identifier: GPL-2.0-only
/*
 * The local APIC: registers, priority, and what the CPU asks before it enters the guest.
 */
#include <linux/bitops.h>

#include "emys.h"
#include "irqchip/chip.h"
#include "irqchip/lapic.h"

static int highest(const struct emys_lapic *l, u32 offset)
{
	int i;

	for (i = 7; i >= 0; i--) {
		u32 w = lapic_reg(l, offset + i * 0x10);

		if (w)
			return i * 32 + __fls(w);
	}
	return -1;
}

int lapic_highest_isr(struct emys_vcpu *vcpu)
{
	struct emys_lapic *l = vcpu->lapic;

	return l->apicv ? highest(l, APIC_ISR) : l->highest_isr;
}

static int highest_irr(const struct emys_lapic *l)
{
	return l->apicv || l->irr_pending ? highest(l, APIC_IRR) : -1;
}

/* "Processor Priority Register (PPR)" */
static u32 priority(const struct emys_lapic *l)
{
	u32 tpr = lapic_reg(l, APIC_TASKPRI) & 0xff;
	int isr = l->apicv ? highest(l, APIC_ISR) : l->highest_isr;

	if (isr >= 0 && (isr & 0xf0) > (tpr & 0xf0))
		return isr & 0xf0;
	return tpr;
}

void lapic_sync(struct emys_lapic *l)
{
	l->highest_isr = highest(l, APIC_ISR);
	l->irr_pending = highest(l, APIC_IRR) >= 0;
}

void lapic_set_apicv(struct emys_vcpu *vcpu, bool on)
{
	struct emys_lapic *l = vcpu->lapic;

	if (l->apicv == on)
		return;
	l->apicv = on;
	lapic_sync(l);
	emys_vcpu_request(vcpu, EMYS_REQ_EVENT);
}

void lapic_raise(struct emys_lapic *l, u8 vector)
{
	if (vector < 16) {
		lapic_error(l, ESR_RECV_ILLEGAL);
		return;
	}
	lapic_vec_clear(l, APIC_TMR, vector);
	lapic_vec_set(l, APIC_IRR, vector);
	l->irr_pending = true;
	emys_vcpu_request(l->vcpu, EMYS_REQ_EVENT);
}

void lapic_error(struct emys_lapic *l, u32 bit)
{
	u32 lvt = lapic_reg(l, APIC_LVTERR);

	l->esr_pending |= bit;
	/* an illegal vector here would be an error again: it is only counted */
	if (!(lvt & APIC_LVT_MASKED) && (lvt & 0xff) >= 16)
		lapic_raise(l, lvt & 0xff);
}

static void take_posted(struct emys_lapic *l)
{
	int i;

	WRITE_ONCE(l->pir_pending, false);
	smp_mb();	/* a bit set after the scan sees the flag cleared, and sets it */
	for (i = 0; i < 4; i++) {
		unsigned long bits, level;
		int half;

		if (!READ_ONCE(l->pir[i]))
			continue;
		bits = xchg(&l->pir[i], 0);
		level = READ_ONCE(l->tmr_post[i]);
		for (half = 0; half < 2; half++) {
			u8 vector = i * 64 + half * 32;
			u32 *tmr = lapic_vec_word(l, APIC_TMR, vector);
			u32 b = bits >> (half * 32);

			*lapic_vec_word(l, APIC_IRR, vector) |= b;
			*tmr = (*tmr & ~b) | ((u32)(level >> (half * 32)) & b);
		}
		l->irr_pending = true;
	}
}

void lapic_fold(struct emys_lapic *l)
{
	lapic_timer_fold(l);
	if (READ_ONCE(l->pir_pending))
		take_posted(l);
	if (unlikely(READ_ONCE(l->esr_post))) {
		WRITE_ONCE(l->esr_post, false);
		lapic_error(l, ESR_RECV_ILLEGAL);
	}
}

int lapic_poll(struct emys_vcpu *vcpu, int *max_irr)
{
	struct emys_lapic *l = vcpu->lapic;
	int irr = -1;

	lapic_fold(l);
	if (lapic_hw_enabled(l))
		irr = highest_irr(l);
	if (max_irr)
		*max_irr = irr;
	if (irr < 0 || (irr & 0xf0) <= (int)(priority(l) & 0xf0))
		return -1;
	return irr;
}

void lapic_ack(struct emys_vcpu *vcpu, u8 vector)
{
	struct emys_lapic *l = vcpu->lapic;

	lapic_vec_clear(l, APIC_IRR, vector);
	lapic_vec_set(l, APIC_ISR, vector);
	if (vector > l->highest_isr)
		l->highest_isr = vector;
	l->irr_pending = highest(l, APIC_IRR) >= 0;
	vcpu->vmx.svi_dirty = true;
}

bool lapic_accepts_pic(struct emys_vcpu *vcpu)
{
	struct emys_lapic *l = vcpu->lapic;
	u32 lvt;

	if (!lapic_hw_enabled(l))
		return true;
	lvt = lapic_reg(l, APIC_LVT0);
	return !(lvt & APIC_LVT_MASKED) && (lvt >> 8 & 7) == DM_EXTINT;
}

bool lapic_has_work(struct emys_vcpu *vcpu)
{
	struct emys_lapic *l = vcpu->lapic;
	int i, irr;
	u32 lvt;

	if (pic_pending(vcpu->vm) && lapic_accepts_pic(vcpu))
		return true;
	if (!lapic_hw_enabled(l))
		return false;

	irr = highest_irr(l);
	if (READ_ONCE(l->pir_pending)) {
		for (i = 3; i >= 0; i--) {
			unsigned long bits = READ_ONCE(l->pir[i]);

			if (bits) {
				irr = max(irr, (int)(i * 64 + __fls(bits)));
				break;
			}
		}
	}
	lvt = lapic_reg(l, APIC_LVTT);
	if (atomic_read(&l->timer.pending) && !(lvt & APIC_LVT_MASKED))
		irr = max(irr, (int)(lvt & 0xff));
	return irr >= 16 && (irr & 0xf0) > (int)(priority(l) & 0xf0);
}

static void eoi(struct emys_lapic *l)
{
	struct emys_irqchip *chip = l->vcpu->vm->irqchip;
	int vector = lapic_highest_isr(l->vcpu);

	if (vector < 0)
		return;
	lapic_vec_clear(l, APIC_ISR, vector);
	l->highest_isr = highest(l, APIC_ISR);
	l->vcpu->vmx.svi_dirty = true;
	if (chip && test_bit(vector, chip->ioapic.eoi_map))
		ioapic_eoi(l->vcpu->vm, l->vcpu, vector);
	emys_vcpu_request(l->vcpu, EMYS_REQ_EVENT);
}

void lapic_eoi_exit(struct emys_vcpu *vcpu, u8 vector)
{
	ioapic_eoi(vcpu->vm, vcpu, vector);
	emys_vcpu_request(vcpu, EMYS_REQ_EVENT);
}

u32 lapic_lvt_mask(u32 offset)
{
	switch (offset) {
	case APIC_LVTT:
		return LVT_TIMER_MASK;
	case APIC_LVTTHMR:
	case APIC_LVTPC:
		return 0x000107ff;
	case APIC_LVT0:
	case APIC_LVT1:
		return 0x0001a7ff;
	case APIC_LVTERR:
		return 0x000100ff;
	default:
		return 0;
	}
}

static void write_lvt(struct emys_lapic *l, u32 offset, u32 val)
{
	val &= lapic_lvt_mask(offset);
	if (offset == APIC_LVTT && !l->vcpu->feat.has_tsc_deadline)
		val &= ~APIC_LVT_TIMER_TSCDEADLINE;
	if (!lapic_sw_enabled(l))
		val |= APIC_LVT_MASKED;
	if (offset == APIC_LVTT)
		lapic_timer_fold(l);
	lapic_set_reg(l, offset, val);
	if (offset == APIC_LVTT)
		lapic_timer_mode(l);
	if (offset == APIC_LVT0)
		emys_vcpu_request(l->vcpu, EMYS_REQ_EVENT);
}

bool lapic_soft_enabled(struct emys_vcpu *vcpu)
{
	return lapic_sw_enabled(vcpu->lapic);
}

static void write_svr(struct emys_lapic *l, u32 val)
{
	u32 offset;

	lapic_set_reg(l, APIC_SPIV, val & 0x3ff);
	/* APICv has stored the value already: what was there before is unknown */
	if (l->apicv != !!(val & APIC_SPIV_APIC_ENABLED))
		emys_vcpu_request(l->vcpu, EMYS_REQ_APICV);
	if (val & APIC_SPIV_APIC_ENABLED)
		return;
	for (offset = APIC_LVTT; offset <= APIC_LVTERR; offset += 0x10)
		lapic_set_reg(l, offset, lapic_reg(l, offset) | APIC_LVT_MASKED);
	emys_vcpu_request(l->vcpu, EMYS_REQ_EVENT);
}

/* The registers of "Local APIC Register Address Map" that can be read. */
static bool readable(u32 offset, bool x2apic)
{
	switch (offset) {
	case APIC_ARBPRI:
	case APIC_RRR:
	case APIC_DFR:
	case APIC_ICR2:
		return !x2apic;
	case APIC_ID:
	case APIC_LVR:
	case APIC_TASKPRI:
	case APIC_PROCPRI:
	case APIC_LDR:
	case APIC_SPIV:
	case APIC_ISR ... APIC_ISR + 0x70:
	case APIC_TMR ... APIC_TMR + 0x70:
	case APIC_IRR ... APIC_IRR + 0x70:
	case APIC_ESR:
	case APIC_ICR:
	case APIC_LVTT:
	case APIC_LVTTHMR:
	case APIC_LVTPC:
	case APIC_LVT0:
	case APIC_LVT1:
	case APIC_LVTERR:
	case APIC_TMICT:
	case APIC_TMCCT:
	case APIC_TDCR:
		return true;
	case APIC_EOI:
		return !x2apic;		/* write-only there; reads as 0 here */
	default:
		return false;
	}
}

static u32 read_reg(struct emys_lapic *l, u32 offset)
{
	switch (offset) {
	case APIC_PROCPRI:
		return priority(l);
	case APIC_TMCCT:
		return lapic_timer_count(l);
	case APIC_TMR ... APIC_TMR + 0x70:
	case APIC_IRR ... APIC_IRR + 0x70:
		lapic_fold(l);
		return lapic_reg(l, offset);
	case APIC_EOI:
		return 0;
	default:
		return lapic_reg(l, offset);
	}
}

bool lapic_at(struct emys_vcpu *vcpu, u64 gpa)
{
	struct emys_lapic *l = vcpu->lapic;

	return l && lapic_hw_enabled(l) && !lapic_x2apic(l) &&
	       (gpa & PAGE_MASK) == (l->base & PAGE_MASK);
}

u32 lapic_read(struct emys_vcpu *vcpu, u32 offset)
{
	struct emys_lapic *l = vcpu->lapic;

	offset &= LAPIC_SIZE - 0x10;
	if (!readable(offset, false)) {
		lapic_error(l, ESR_REGISTER);
		return 0;
	}
	return read_reg(l, offset);
}

/* Registers that both modes write in the same way. false: there is no such register. */
static bool write_reg(struct emys_lapic *l, u32 offset, u32 val)
{
	switch (offset) {
	case APIC_TASKPRI:
		lapic_set_reg(l, APIC_TASKPRI, val & 0xff);
		emys_vcpu_request(l->vcpu, EMYS_REQ_EVENT);
		break;
	case APIC_EOI:
		eoi(l);
		break;
	case APIC_SPIV:
		write_svr(l, val);
		break;
	case APIC_ESR:
		lapic_set_reg(l, APIC_ESR, l->esr_pending);
		l->esr_pending = 0;
		break;
	case APIC_LVTT:
	case APIC_LVTTHMR:
	case APIC_LVTPC:
	case APIC_LVT0:
	case APIC_LVT1:
	case APIC_LVTERR:
		write_lvt(l, offset, val);
		break;
	case APIC_TMICT:
		/* without effect in TSC-deadline mode; APICv has stored it already */
		lapic_set_reg(l, APIC_TMICT, lapic_timer_is_deadline(l) ? 0 : val);
		lapic_timer_start(l);
		break;
	case APIC_TDCR:
		lapic_set_reg(l, APIC_TDCR, val & 0xb);
		lapic_timer_divide(l);
		break;
	default:
		return false;
	}
	return true;
}

void lapic_write(struct emys_vcpu *vcpu, u32 offset, u32 val)
{
	struct emys_lapic *l = vcpu->lapic;

	offset &= LAPIC_SIZE - 0x10;
	if (write_reg(l, offset, val))
		return;
	switch (offset) {
	case APIC_ID:
		/* read-only, as on every CPU since Nehalem; APICv has stored it already */
		lapic_set_reg(l, APIC_ID, vcpu->id << 24);
		break;
	case APIC_LDR:
		lapic_set_reg(l, APIC_LDR, val & 0xff000000);
		break;
	case APIC_DFR:
		lapic_set_reg(l, APIC_DFR, val | 0x0fffffff);
		break;
	case APIC_ICR:
		val &= ~LAPIC_ICR_BUSY;
		lapic_set_reg(l, APIC_ICR, val);
		lapic_send_icr(l, val & ~LAPIC_ICR_RESERVED, lapic_reg(l, APIC_ICR2));
		break;
	case APIC_ICR2:
		lapic_set_reg(l, APIC_ICR2, val & 0xff000000);
		break;
	default:
		if (!readable(offset, false))
			lapic_error(l, ESR_REGISTER);
		break;
	}
}

void lapic_written(struct emys_vcpu *vcpu, u32 offset)
{
	u32 val;

	offset &= LAPIC_SIZE - 0x10;
	val = lapic_reg(vcpu->lapic, offset);
	if (lapic_x2apic(vcpu->lapic))
		lapic_msr_write(vcpu, APIC_BASE_MSR + (offset >> 4), val);
	else
		lapic_write(vcpu, offset, val);
}

u64 lapic_get_cr8(struct emys_vcpu *vcpu)
{
	return lapic_reg(vcpu->lapic, APIC_TASKPRI) >> 4 & 0xf;
}

void lapic_set_cr8(struct emys_vcpu *vcpu, u64 cr8)
{
	write_reg(vcpu->lapic, APIC_TASKPRI, (cr8 & 0xf) << 4);
}

int lapic_msr_read(struct emys_vcpu *vcpu, u32 msr, u64 *val)
{
	struct emys_lapic *l = vcpu->lapic;
	u32 offset;

	if (msr == MSR_IA32_TSC_DEADLINE) {
		lapic_timer_fold(l);
		*val = lapic_timer_is_deadline(l) ? l->timer.deadline_tsc : 0;
		return 0;
	}
	if (!lapic_x2apic(l) || msr < APIC_BASE_MSR || msr > APIC_BASE_MSR + 0xff)
		return -EPERM;
	offset = (msr - APIC_BASE_MSR) << 4;
	if (!readable(offset, true))
		return -EPERM;
	*val = read_reg(l, offset);
	if (offset == APIC_ICR)
		*val |= (u64)lapic_reg(l, APIC_ICR + 4) << 32;
	return 0;
}

/* Bits whose setting is #GP in x2APIC mode, "Reserved Bit Checking". */
static u32 x2apic_reserved(u32 offset)
{
	u32 mask = lapic_lvt_mask(offset);

	/* delivery status and remote IRR are read-only, not reserved */
	if (offset == APIC_LVT0 || offset == APIC_LVT1)
		return ~(mask | 0x5000);
	if (mask)
		return ~(mask | 0x1000);
	switch (offset) {
	case APIC_EOI:
	case APIC_ESR:
		return ~0u;
	case APIC_TASKPRI:
	case APIC_SELF_IPI:
		return ~0xffu;
	case APIC_SPIV:
		return ~0x3ffu;
	case APIC_TDCR:
		return ~0xbu;
	case APIC_ICR:
		return LAPIC_ICR_RESERVED;
	default:
		return 0;
	}
}

int lapic_msr_write(struct emys_vcpu *vcpu, u32 msr, u64 val)
{
	struct emys_lapic *l = vcpu->lapic;
	u32 offset, low = val, high = val >> 32;

	if (msr == MSR_IA32_TSC_DEADLINE) {
		lapic_timer_deadline(l, val);
		return 0;
	}
	if (!lapic_x2apic(l) || msr < APIC_BASE_MSR || msr > APIC_BASE_MSR + 0xff)
		return -EPERM;
	offset = (msr - APIC_BASE_MSR) << 4;
	if (low & x2apic_reserved(offset) || (high && offset != APIC_ICR))
		return -EPERM;
	if (write_reg(l, offset, low))
		return 0;
	switch (offset) {
	case APIC_ICR:
		low &= ~LAPIC_ICR_BUSY;
		/* the layout APIC-register virtualization reads */
		lapic_set_reg(l, APIC_ICR, low);
		lapic_set_reg(l, APIC_ICR + 4, high);
		lapic_send_icr(l, low, high);
		return 0;
	case APIC_SELF_IPI:
		if (low < 16)
			lapic_error(l, ESR_SEND_ILLEGAL);
		else
			lapic_raise(l, low);
		return 0;
	default:
		return -EPERM;
	}
}
