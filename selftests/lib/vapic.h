/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vapic: a virtual-APIC page that L1 gives L2, and virtual interrupts in it. Vol. 3, "APIC
 * Virtualization and Virtual Interrupts".
 */
#ifndef _VAPIC_H
#define _VAPIC_H

#include "apic.h"
#include "nested.h"

static u32 virtual_apic[1024] VMX_PAGE;

/* what the handlers of virtual interrupts saw: how many, and the last eight vectors */
static volatile u64 handled, order;

static inline volatile u32 *vapic_reg(u32 offset)
{
	return &virtual_apic[offset / 4];
}

static inline void vapic_set(u32 base, u8 vector, bool on)
{
	volatile u32 *p = vapic_reg(base + (vector >> 5) * 0x10);

	if (on)
		*p |= 1u << (vector & 31);
	else
		*p &= ~(1u << (vector & 31));
}

static inline bool vapic_has(u32 base, u8 vector)
{
	return *vapic_reg(base + (vector >> 5) * 0x10) >> (vector & 31) & 1;
}

/* of an L2 in x2APIC mode */
static inline void on_virtual(struct guest_frame *frame)
{
	handled++;
	order = order << 8 | frame->vector;
	x2apic_write(APIC_EOI, 0);
}

/* A VMCS whose L2 runs FN with this virtual-APIC page and its TPR shadow. */
static inline void vapic_start(void *fn, u64 arg)
{
	l1_make_vmcs(l1_vmcs, fn, arg);
	vmwrite(VIRTUAL_APIC, pa(virtual_apic));
	vmwrite(TPR_THRESHOLD, 0);
	l1_control(PROC_CTL, PROC_TPR_SHADOW, PROC_CR8_LOAD | PROC_CR8_STORE);
}

#define VAPIC_VID	(PROC2_X2APIC | PROC2_VID | PROC2_APIC_REGISTERS)

/* What MORE secondary controls bring, and virtual interrupts delivered; none is there. */
static inline void vapic_start_vid(void *fn, u64 arg, u32 more)
{
	u32 i;

	vapic_start(fn, arg);
	l1_control(PROC_CTL, PROC_MSR_BITMAPS, 0);
	l1_control(PIN_CTL, PIN_EXTINT, 0);
	l1_control(PROC2_CTL, PROC2_VID | PROC2_APIC_REGISTERS | more, 0);
	for (i = 0; i < 4; i++)
		vmwrite(EOI_EXIT0 + 2 * i, 0);
	for (i = 0; i < 256; i++) {
		vapic_set(APIC_IRR, i, false);
		vapic_set(APIC_ISR, i, false);
	}
	vmwrite(GUEST_INTR_STATUS, 0);
	vmwrite(GUEST_RFLAGS, 2 | X86_IF);
	*vapic_reg(APIC_TPR) = 0;
	order = 0;
	handled = 0;
}

#endif /* _VAPIC_H */
