/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * pic_core.h - the logic of a pair of 8259As; the caller brings the lock.
 *
 * Source: Intel 8259A data sheet; ELCR as in the PIIX data sheet.
 */
#ifndef _EMYS_IRQCHIP_PIC_CORE_H
#define _EMYS_IRQCHIP_PIC_CORE_H

#include <linux/types.h>

/* One 8259A. Bits are the eight inputs. */
struct pic {
	u8 last_irr;			/* level of the inputs, for edges */
	u8 irr, imr, isr;
	u8 priority_add;		/* input with the highest priority */
	u8 irq_base;
	u8 read_isr;			/* OCW3: reads give ISR, not IRR */
	u8 poll;
	u8 special_mask;
	u8 init_state;			/* 0, or the ICW expected next less one */
	u8 auto_eoi, rotate_on_auto_eoi;
	u8 special_fully_nested;
	u8 init4;			/* ICW4 will come */
	u8 elcr, elcr_mask;
};

struct pic_core {
	struct pic chip[2];		/* master, slave */
	bool output;			/* INTR; may be read without the lock */
	/* for the caller to act on and clear; bits are inputs 0 to 15 */
	u16 acked, unmasked;
	bool raised;			/* INTR went up */
	bool notify;			/* INTR is up after a change */
};

void pic_core_init(struct pic_core *p);
/* Input @irq (0..15) is at @level. 1 taken, 0 was requested already, -1 masked. */
int pic_core_input(struct pic_core *p, int irq, int level);
/* INTA cycles: the vector, spurious (input 7) when nothing is requested. */
int pic_core_intack(struct pic_core *p);
/* Ports 0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1. */
/* Would a read be an INTA cycle? Other reads change nothing: peek needs no lock. */
bool pic_core_polled(const struct pic_core *p, u16 port);
u8 pic_core_peek(const struct pic_core *p, u16 port);
u8 pic_core_read(struct pic_core *p, u16 port);
void pic_core_write(struct pic_core *p, u16 port, u8 val);
/* Recompute the outputs after chip[] was written from outside. */
void pic_core_update(struct pic_core *p);

#endif
