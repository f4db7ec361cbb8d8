/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * apic: local APIC, IO-APIC, PIC and PIT as the guest half programs them.
 *
 * Registers are named by their xAPIC offset; apic_read() and apic_write() take
 * that offset in both modes.
 */
#ifndef _APIC_H
#define _APIC_H

#include "guest.h"

#define APIC_BASE_GPA	0xfee00000ull
#define IOAPIC_GPA	0xfec00000ull

#define APIC_BASE_BSP	(1ull << 8)
#define APIC_BASE_X2	(1ull << 10)
#define APIC_BASE_EN	(1ull << 11)

#define APIC_ID		0x20
#define APIC_VERSION	0x30
#define APIC_TPR	0x80
#define APIC_PPR	0xa0
#define APIC_EOI	0xb0
#define APIC_LDR	0xd0
#define APIC_DFR	0xe0
#define APIC_SVR	0xf0
#define APIC_ISR	0x100
#define APIC_TMR	0x180
#define APIC_IRR	0x200
#define APIC_ESR	0x280
#define APIC_ICR	0x300
#define APIC_ICR2	0x310
#define APIC_LVTT	0x320
#define APIC_LVTPC	0x340
#define APIC_LVT0	0x350
#define APIC_LVT1	0x360
#define APIC_LVTERR	0x370
#define APIC_TMICT	0x380
#define APIC_TMCCT	0x390
#define APIC_TDCR	0x3e0
#define APIC_SELF_IPI	0x3f0

#define APIC_SVR_EN	(1u << 8)
#define APIC_LVT_MASK	(1u << 16)
#define APIC_LVT_PERIODIC (1u << 17)
#define APIC_LVT_DEADLINE (2u << 17)
#define APIC_LVT_EXTINT	(7u << 8)
#define APIC_LVT_NMI	(4u << 8)

#define ICR_FIXED	(0u << 8)
#define ICR_LOWEST	(1u << 8)
#define ICR_NMI		(4u << 8)
#define ICR_INIT	(5u << 8)
#define ICR_STARTUP	(6u << 8)
#define ICR_LOGICAL	(1u << 11)
#define ICR_BUSY	(1u << 12)
#define ICR_ASSERT	(1u << 14)
#define ICR_LEVEL	(1u << 15)
#define ICR_SELF	(1u << 18)
#define ICR_ALL		(2u << 18)
#define ICR_OTHERS	(3u << 18)

static inline u32 xapic_read(u32 reg)
{
	return *(volatile u32 *)(APIC_BASE_GPA + reg);
}

static inline void xapic_write(u32 reg, u32 v)
{
	*(volatile u32 *)(APIC_BASE_GPA + reg) = v;
}

static inline u64 x2apic_read(u32 reg)
{
	return rdmsr(0x800 + (reg >> 4));
}

static inline void x2apic_write(u32 reg, u64 v)
{
	wrmsr(0x800 + (reg >> 4), v);
}

static inline int x2apic_on(void)
{
	return !!(rdmsr(MSR_APIC_BASE) & APIC_BASE_X2);
}

static inline u32 apic_read(u32 reg)
{
	return x2apic_on() ? (u32)x2apic_read(reg) : xapic_read(reg);
}

static inline void apic_write(u32 reg, u32 v)
{
	if (x2apic_on())
		x2apic_write(reg, v);
	else
		xapic_write(reg, v);
}

static inline void apic_icr(u32 dest, u32 low)
{
	if (x2apic_on()) {
		x2apic_write(APIC_ICR, (u64)dest << 32 | low);
		return;
	}
	xapic_write(APIC_ICR2, dest << 24);
	xapic_write(APIC_ICR, low);
}

static inline void apic_enable(void)
{
	apic_write(APIC_SVR, APIC_SVR_EN | 0xff);
}

static inline void x2apic_enable(void)
{
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_EN |
	      APIC_BASE_X2);
	x2apic_write(APIC_SVR, APIC_SVR_EN | 0xff);
}

static inline void apic_eoi(void)
{
	apic_write(APIC_EOI, 0);
}

/* bit VECTOR of the ISR, TMR or IRR */
static inline int apic_bit(u32 reg, u8 vector)
{
	return apic_read(reg + (vector >> 5) * 0x10) >> (vector & 31) & 1;
}

static inline u32 ioapic_read(u8 reg)
{
	*(volatile u32 *)IOAPIC_GPA = reg;
	return *(volatile u32 *)(IOAPIC_GPA + 0x10);
}

static inline void ioapic_write(u8 reg, u32 v)
{
	*(volatile u32 *)IOAPIC_GPA = reg;
	*(volatile u32 *)(IOAPIC_GPA + 0x10) = v;
}

#define IOAPIC_MASKED	(1u << 16)
#define IOAPIC_LEVEL	(1u << 15)
#define IOAPIC_REMOTE_IRR (1u << 14)
#define IOAPIC_LOW	(1u << 13)

static inline void ioapic_set(u8 pin, u32 low, u8 dest)
{
	ioapic_write(0x10 + 2 * pin, IOAPIC_MASKED);
	ioapic_write(0x11 + 2 * pin, (u32)dest << 24);
	ioapic_write(0x10 + 2 * pin, low);
}

/* both PICs: vectors at BASE and BASE + 8, MASK bits 15:8 the slave's */
static inline void pic_init(u8 base, u16 mask)
{
	outb(0x20, 0x11);
	outb(0xa0, 0x11);
	outb(0x21, base);
	outb(0xa1, base + 8);
	outb(0x21, 4);
	outb(0xa1, 2);
	outb(0x21, 1);
	outb(0xa1, 1);
	outb(0x21, mask);
	outb(0xa1, mask >> 8);
}

#endif /* _APIC_H */
