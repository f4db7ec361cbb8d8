/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * lapic.h - what the files of the local APIC share; private to kmod/irqchip.
 */
#ifndef _EMYS_IRQCHIP_LAPIC_H
#define _EMYS_IRQCHIP_LAPIC_H

#include <asm/apicdef.h>
#include <asm/msr-index.h>
#include <linux/bits.h>

#include "irqchip.h"

#define LAPIC_VERSION		0x00050014u	/* 6 LVT entries */
#define LAPIC_ICR_RESERVED	0xfff32000u
#define LAPIC_ICR_BUSY		0x00001000u	/* xAPIC's delivery status; ignored by x2APIC */
#define LVT_TIMER_MASK		0x000700ffu
#define LVT_TIMER_MODE		0x00060000u

/* Delivery modes of a message. */
enum {
	DM_FIXED, DM_LOWEST, DM_SMI, DM_RESERVED, DM_NMI, DM_INIT, DM_SIPI, DM_EXTINT
};

/* ESR, "Error Status Register (ESR)". */
#define ESR_SEND_ILLEGAL	BIT(5)
#define ESR_RECV_ILLEGAL	BIT(6)
#define ESR_REGISTER		BIT(7)

static inline u32 lapic_reg(const struct emys_lapic *l, u32 offset)
{
	return READ_ONCE(*(const u32 *)(l->regs + offset));
}

static inline void lapic_set_reg(struct emys_lapic *l, u32 offset, u32 val)
{
	WRITE_ONCE(*(u32 *)(l->regs + offset), val);
}

/* 256-bit registers are eight words of 32 bits, 16 bytes apart. */
static inline u32 *lapic_vec_word(struct emys_lapic *l, u32 offset, u8 vector)
{
	return l->regs + offset + (vector >> 5) * 0x10;
}

static inline bool lapic_vec_test(struct emys_lapic *l, u32 offset, u8 vector)
{
	return READ_ONCE(*lapic_vec_word(l, offset, vector)) & BIT(vector & 31);
}

static inline void lapic_vec_set(struct emys_lapic *l, u32 offset, u8 vector)
{
	*lapic_vec_word(l, offset, vector) |= BIT(vector & 31);
}

static inline void lapic_vec_clear(struct emys_lapic *l, u32 offset, u8 vector)
{
	*lapic_vec_word(l, offset, vector) &= ~BIT(vector & 31);
}

static inline bool lapic_hw_enabled(const struct emys_lapic *l)
{
	return READ_ONCE(l->base) & MSR_IA32_APICBASE_ENABLE;
}

static inline bool lapic_sw_enabled(const struct emys_lapic *l)
{
	return lapic_reg(l, APIC_SPIV) & APIC_SPIV_APIC_ENABLED;
}

static inline bool lapic_x2apic(const struct emys_lapic *l)
{
	return READ_ONCE(l->base) & X2APIC_ENABLE;
}

/* The logical ID that x2APIC mode derives from the APIC ID. */
static inline u32 lapic_x2apic_ldr(u32 id)
{
	return (id >> 4) << 16 | BIT(id & 0xf);
}

/* lapic.c */
/* Raise @vector on this APIC by its own vCPU's thread. */
void lapic_raise(struct emys_lapic *l, u8 vector);
void lapic_error(struct emys_lapic *l, u32 bit);
/* Recompute the caches from the page. */
void lapic_sync(struct emys_lapic *l);
/* Posted vectors and an expired timer go into the page. */
void lapic_fold(struct emys_lapic *l);
/* The writable bits of an LVT entry. 0: not an LVT entry. */
u32 lapic_lvt_mask(u32 offset);

/* lapic_ipi.c */
void lapic_send_icr(struct emys_lapic *l, u32 low, u32 high);
/* A message that reaches @vcpu alone, by a pin of its APIC. Any context. */
void lapic_local(struct emys_vcpu *vcpu, const struct lapic_msg *msg);

/* lapic_timer.c */
void lapic_timer_init(struct emys_lapic *l);
void lapic_timer_stop(struct emys_lapic *l);
u32 lapic_timer_count(struct emys_lapic *l);
/* The initial count was written. */
void lapic_timer_start(struct emys_lapic *l);
/* Begin with @count left, as restored state says. */
void lapic_timer_resume(struct emys_lapic *l, u32 count);
/* The LVT timer entry was written. */
void lapic_timer_mode(struct emys_lapic *l);
void lapic_timer_divide(struct emys_lapic *l);
void lapic_timer_deadline(struct emys_lapic *l, u64 tsc);
bool lapic_timer_is_deadline(struct emys_lapic *l);
/* Turn an expiration into its interrupt. */
void lapic_timer_fold(struct emys_lapic *l);

#endif
