// SPDX-License-Identifier: GPL-2.0-only
/*
 * L2's virtual APIC, where L1 has the CPU work on it: interrupt status, x2APIC MSRs, posted
 * interrupts.
 *
 * vmcs02 has L1's virtual-APIC page and the controls of vmcs12; the CPU does the rest. It has no
 * posted interrupts: a notification for L1's APIC is found by emys, which does what the CPU would.
 *
 * Source: SDM volume 3, chapter "APIC Virtualization and Virtual Interrupts".
 */
#include <linux/mm.h>
#include <asm/apicdef.h>

#include "../emys.h"
#include "internal.h"

static bool has_vid(const struct emys_vcpu *vcpu)
{
	return n12_proc2(vcpu->nested->v12, SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY);
}

void nested_apic_controls(struct emys_vcpu *vcpu)
{
	const struct vmcs12 *v = vcpu->nested->v12;

	if (!has_vid(vcpu))
		return;
	vmcs_write64(EOI_EXIT_BITMAP0, v->eoi_exit_bitmap0);
	vmcs_write64(EOI_EXIT_BITMAP1, v->eoi_exit_bitmap1);
	vmcs_write64(EOI_EXIT_BITMAP2, v->eoi_exit_bitmap2);
	vmcs_write64(EOI_EXIT_BITMAP3, v->eoi_exit_bitmap3);
}

void nested_apic_load(struct emys_vcpu *vcpu)
{
	vcpu->nested->status_read = false;
	if (has_vid(vcpu))
		vmcs_write16(GUEST_INTR_STATUS, vcpu->nested->v12->guest_intr_status);
}

void nested_apic_save(struct emys_vcpu *vcpu, struct vmcs12 *v)
{
	if (has_vid(vcpu))
		v->guest_intr_status = vmcs_read16(GUEST_INTR_STATUS);
}

/* -- x2APIC MSRs ------------------------------------------------------------------------------ */

#define X2APIC_FIRST	0x800
#define X2APIC_END	0x900
#define X2APIC_TPR	0x808
#define X2APIC_EOI	0x80b
#define X2APIC_SELF_IPI	0x83f
#define MAP_WRITE	0x4000		/* the half of an MSR bitmap that is for WRMSR */

/*
 * No exit where L1 wants none and the CPU virtualizes the access. One that it does not virtualize
 * would be the host's own APIC's.
 */
void nested_apic_msrs(struct emys_vcpu *vcpu)
{
	const struct nested_vcpu *n = vcpu->nested;
	const struct page *page = n->pages[NESTED_MSR_BITMAP].page;
	bool mode = n->vmcs02.exec2 & SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE;
	const unsigned long *map12 = NULL;
	unsigned long *map02 = n->vmcs02.msr_bitmap;
	unsigned int i;

	if (mode && page && n12_proc(n->v12, CPU_BASED_USE_MSR_BITMAPS) &&
	    (n->vmcs02.exec2 & SECONDARY_EXEC_APIC_REGISTER_VIRT))
		map12 = page_address(page);
	for (i = X2APIC_FIRST / BITS_PER_LONG; i < X2APIC_END / BITS_PER_LONG; i++) {
		map02[i] = map12 ? READ_ONCE(map12[i]) : ~0ul;
		map02[i + MAP_WRITE / BITS_PER_LONG] = ~0ul;
	}
	if (!mode)
		return;
	__assign_bit(X2APIC_TPR, map02, nested_msr_exits(vcpu, X2APIC_TPR, false));
	__assign_bit(X2APIC_TPR + MAP_WRITE, map02, nested_msr_exits(vcpu, X2APIC_TPR, true));
	if (!has_vid(vcpu))
		return;
	__assign_bit(X2APIC_EOI + MAP_WRITE, map02, nested_msr_exits(vcpu, X2APIC_EOI, true));
	__assign_bit(X2APIC_SELF_IPI + MAP_WRITE, map02,
		     nested_msr_exits(vcpu, X2APIC_SELF_IPI, true));
}

/* -- virtual interrupts ----------------------------------------------------------------------- */

static u16 read_status(struct emys_vcpu *vcpu)
{
	struct nested_vcpu *n = vcpu->nested;

	if (!n->status_read) {
		vmx_vmcs_get(vcpu);
		n->status = vmcs_read16(GUEST_INTR_STATUS);
		vmx_vmcs_put(vcpu);
		n->status_read = true;
	}
	return n->status;
}

static void write_status(struct emys_vcpu *vcpu, u16 status)
{
	vmx_vmcs_get(vcpu);
	vmcs_write16(GUEST_INTR_STATUS, status);
	vmx_vmcs_put(vcpu);
	vcpu->nested->status = status;
	vcpu->nested->status_read = true;
}

bool nested_virtual_interrupt(struct emys_vcpu *vcpu)
{
	u8 rvi, svi, vtpr;

	if (!has_vid(vcpu) || !vcpu->nested->pages[NESTED_VAPIC].page ||
	    !vmx_interrupt_allowed(vcpu))
		return false;
	rvi = read_status(vcpu);
	svi = read_status(vcpu) >> 8;
	vtpr = nested_vtpr(vcpu);
	return rvi >> 4 > max(svi, vtpr) >> 4;
}

/* -- posted interrupts ------------------------------------------------------------------------ */

#define PIR_WORDS	(256 / BITS_PER_LONG)
#define POSTED_TRIES	8
#define PI_ON		256		/* the descriptor's bit "outstanding notification" */

bool nested_is_notification(const struct emys_vcpu *vcpu, int vector)
{
	const struct vmcs12 *v = vcpu->nested->v12;

	return n12_pin(v, PIN_BASED_POSTED_INTR) && vector == v->posted_intr_nv;
}

/* What is posted becomes virtual IRR. Where there is no memory nothing is posted. */
static void take_descriptor(struct emys_vcpu *vcpu)
{
	struct nested_vcpu *n = vcpu->nested;
	struct page *page = n->pages[NESTED_POSTED].page;
	void *irr = page_address(n->pages[NESTED_VAPIC].page) + APIC_IRR;
	u16 status = read_status(vcpu);
	unsigned long *desc, bits;
	unsigned int i, half;
	u8 highest = 0;

	if (!page)
		return;
	desc = page_address(page) + offset_in_page(n->v12->posted_intr_desc_addr);
	clear_bit(PI_ON, desc);
	for (i = 0; i < PIR_WORDS; i++) {
		bits = READ_ONCE(desc[i]) ? xchg(&desc[i], 0) : 0;
		if (!bits)
			continue;
		highest = i * BITS_PER_LONG + __fls(bits);
		for (half = 0; half < 2; half++) {
			u32 *word = irr + (2 * i + half) * 0x10;

			WRITE_ONCE(*word, READ_ONCE(*word) | (u32)(bits >> (32 * half)));
		}
	}
	if (highest > (u8)status)
		write_status(vcpu, (status & 0xff00) | highest);
}

bool nested_take_posted(struct emys_vcpu *vcpu)
{
	const struct nested_vcpu *n = vcpu->nested;
	unsigned int tries;

	if (!n12_pin(n->v12, PIN_BASED_POSTED_INTR) || !vcpu->lapic)
		return true;
	if (!nested_pages_valid(vcpu))
		return false;
	/* L1's other CPUs may send more all the time: what is beyond waits for the next look. */
	for (tries = 0; tries < POSTED_TRIES; tries++) {
		if (!nested_is_notification(vcpu, lapic_poll(vcpu, NULL)))
			break;
		lapic_ack(vcpu, n->v12->posted_intr_nv);
		lapic_write(vcpu, APIC_EOI, 0);
		take_descriptor(vcpu);
	}
	return true;
}
