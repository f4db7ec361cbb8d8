// SPDX-License-Identifier: GPL-2.0-only
/*
 * The logic of a pair of 8259As: pure, no lock, also built in userspace.
 */
#include <linux/bits.h>
#include <linux/compiler.h>

#include "pic_core.h"

/* Priority of the first input in @mask: 0 is the highest, 8 is none. */
static int first(const struct pic *s, u8 mask)
{
	int i;

	for (i = 0; i < 8; i++)
		if (mask & BIT((i + s->priority_add) & 7))
			break;
	return i;
}

/* The input that should interrupt now, or -1. */
static int pending(const struct pic *s, bool master)
{
	int want = first(s, s->irr & ~s->imr);
	u8 isr = s->isr;

	if (want == 8)
		return -1;
	if (s->special_mask)
		isr &= ~s->imr;
	/* special fully nested: the slave may interrupt its own service */
	if (master && s->special_fully_nested)
		isr &= ~BIT(2);
	return want < first(s, isr) ? (want + s->priority_add) & 7 : -1;
}

static void set_input(struct pic *s, int irq, int level)
{
	u8 bit = BIT(irq);

	if (s->elcr & bit) {
		if (level)
			s->irr |= bit;
		else
			s->irr &= ~bit;
	} else if (level && !(s->last_irr & bit)) {
		s->irr |= bit;
	}
	if (level)
		s->last_irr |= bit;
	else
		s->last_irr &= ~bit;
}

/* Carry the slave's output to the master and the master's to INTR. */
void pic_core_update(struct pic_core *p)
{
	bool slave = pending(&p->chip[1], false) >= 0;
	bool out;

	/* the cascade input follows the slave's output, whatever its trigger mode */
	if (slave)
		p->chip[0].irr |= BIT(2);
	else
		p->chip[0].irr &= ~BIT(2);
	out = pending(&p->chip[0], true) >= 0;
	if (out && !p->output)
		p->raised = true;
	p->notify |= out;
	WRITE_ONCE(p->output, out);
}

static void ack(struct pic_core *p, int n, int irq)
{
	struct pic *s = &p->chip[n];
	u8 bit = BIT(irq);

	if (s->auto_eoi) {
		if (s->rotate_on_auto_eoi)
			s->priority_add = (irq + 1) & 7;
		p->acked |= bit << n * 8;
	} else {
		s->isr |= bit;
	}
	/* a level input stays requested until it goes low */
	if (!(s->elcr & bit))
		s->irr &= ~bit;
}

static void end(struct pic_core *p, int n, int irq)
{
	if (p->chip[n].isr & BIT(irq))
		p->acked |= BIT(irq) << n * 8;
	p->chip[n].isr &= ~BIT(irq);
}

/* The INTA cycles: the vector, spurious when nothing is requested any more. */
static int intack(struct pic_core *p)
{
	struct pic *m = &p->chip[0], *s = &p->chip[1];
	int irq = pending(m, true);

	if (irq < 0)
		return m->irq_base + 7;
	ack(p, 0, irq);
	if (irq != 2)
		return m->irq_base + irq;
	irq = pending(s, false);
	if (irq < 0)
		return s->irq_base + 7;
	ack(p, 1, irq);
	return s->irq_base + irq;
}

int pic_core_intack(struct pic_core *p)
{
	int vector = intack(p);

	pic_core_update(p);
	return vector;
}

/* ICW1 begins the initialization and clears the edges seen. */
static void write_icw1(struct pic_core *p, int n, u8 val)
{
	struct pic *s = &p->chip[n];

	p->acked |= (u16)(s->isr | (s->irr & ~s->elcr)) << n * 8;
	p->unmasked |= (u16)s->imr << n * 8;
	s->last_irr = 0;
	s->irr &= s->elcr;
	s->imr = 0;
	s->isr = 0;
	s->priority_add = 0;
	s->special_mask = 0;
	s->read_isr = 0;
	s->poll = 0;
	s->init4 = val & 1;
	if (!s->init4) {
		s->special_fully_nested = 0;
		s->auto_eoi = 0;
	}
	s->rotate_on_auto_eoi = 0;
	s->init_state = 1;
}

static void write_ocw2(struct pic_core *p, int n, u8 val)
{
	struct pic *s = &p->chip[n];
	int prio, irq = val & 7;

	switch (val >> 5) {
	case 0:		/* rotate in AEOI mode: clear */
	case 4:		/* and set */
		s->rotate_on_auto_eoi = val >> 7;
		break;
	case 1:		/* non-specific EOI */
	case 5:		/* with rotation */
		prio = first(s, s->special_mask ? s->isr & ~s->imr : s->isr);
		if (prio == 8)
			break;
		irq = (prio + s->priority_add) & 7;
		end(p, n, irq);
		if (val >> 5 == 5)
			s->priority_add = (irq + 1) & 7;
		break;
	case 3:		/* specific EOI */
		end(p, n, irq);
		break;
	case 6:		/* set priority */
		s->priority_add = (irq + 1) & 7;
		break;
	case 7:		/* specific EOI with rotation */
		end(p, n, irq);
		s->priority_add = (irq + 1) & 7;
		break;
	default:	/* no operation */
		break;
	}
}

static void write_ocw3(struct pic *s, u8 val)
{
	s->poll = !!(val & 4);
	if (val & 2)
		s->read_isr = val & 1;
	if (val & 0x40)
		s->special_mask = val >> 5 & 1;
}

static void write_data(struct pic_core *p, int n, u8 val)
{
	struct pic *s = &p->chip[n];

	switch (s->init_state) {
	case 0:		/* OCW1 */
		p->unmasked |= (u16)(s->imr & ~val) << n * 8;
		s->imr = val;
		break;
	case 1:		/* ICW2 */
		s->irq_base = val & 0xf8;
		s->init_state = 2;
		break;
	case 2:		/* ICW3: the cascade is wired to input 2 */
		s->init_state = s->init4 ? 3 : 0;
		break;
	case 3:		/* ICW4 */
		s->special_fully_nested = val >> 4 & 1;
		s->auto_eoi = val >> 1 & 1;
		s->init_state = 0;
		break;
	}
}

/* A read after OCW3's poll command is an INTA cycle. */
static u8 poll_read(struct pic_core *p, int n)
{
	struct pic *s = &p->chip[n];
	int irq = pending(s, !n);

	s->poll = 0;
	if (irq < 0)
		return 0;
	ack(p, n, irq);
	return 0x80 | irq;
}

static int chip_nr(u16 port)
{
	return port < 0x100 ? port >> 7 : port & 1;
}

bool pic_core_polled(const struct pic_core *p, u16 port)
{
	return port < 0x4d0 && READ_ONCE(p->chip[chip_nr(port)].poll);
}

u8 pic_core_peek(const struct pic_core *p, u16 port)
{
	const struct pic *s = &p->chip[chip_nr(port)];

	if (port >= 0x4d0)
		return READ_ONCE(s->elcr);
	if (port & 1)
		return READ_ONCE(s->imr);
	return READ_ONCE(s->read_isr) ? READ_ONCE(s->isr) : READ_ONCE(s->irr);
}

u8 pic_core_read(struct pic_core *p, u16 port)
{
	u8 val;

	if (!pic_core_polled(p, port))
		return pic_core_peek(p, port);
	val = poll_read(p, chip_nr(port));
	pic_core_update(p);
	return val;
}

void pic_core_write(struct pic_core *p, u16 port, u8 val)
{
	int n = chip_nr(port);
	struct pic *s = &p->chip[n];

	if (port >= 0x4d0)
		s->elcr = val & s->elcr_mask;
	else if (port & 1)
		write_data(p, n, val);
	else if (val & 0x10)
		write_icw1(p, n, val);
	else if (val & 0x08)
		write_ocw3(s, val);
	else
		write_ocw2(p, n, val);
	pic_core_update(p);
}

void pic_core_init(struct pic_core *p)
{
	/* inputs that ISA makes edge-triggered: 0, 1, 2, 8 and 13 */
	p->chip[0].elcr_mask = 0xf8;
	p->chip[1].elcr_mask = 0xde;
}

int pic_core_input(struct pic_core *p, int irq, int level)
{
	struct pic *s = &p->chip[irq >> 3];
	u8 bit = BIT(irq & 7);
	int ret = 1;

	if (level && s->imr & bit)
		ret = -1;
	else if (level && s->irr & bit)
		ret = 0;
	/* the slave's output drives input 2 and nothing else does */
	if (irq != 2)
		set_input(s, irq & 7, level);
	pic_core_update(p);
	return ret;
}
