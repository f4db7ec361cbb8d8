// SPDX-License-Identifier: GPL-2.0-only
/* Unit tests of the 8259A pair */

#include <stdbool.h>
#include <string.h>

#include <linux/bits.h>

#include "../../kmod/irqchip/pic_core.h"
#include "tap.h"

static struct pic_core pic;

/* The usual set-up of a PC: vectors 0x20 and 0x28, everything open */
static void setup(u8 icw4)
{
	int n;

	memset(&pic, 0, sizeof(pic));
	pic_core_init(&pic);
	for (n = 0; n < 2; n++) {
		u16 port = n ? 0xa0 : 0x20;

		pic_core_write(&pic, port, 0x11);
		pic_core_write(&pic, port + 1, n ? 0x28 : 0x20);
		pic_core_write(&pic, port + 1, n ? 2 : 4);
		pic_core_write(&pic, port + 1, icw4);
		pic_core_write(&pic, port + 1, 0);
	}
	pic.acked = 0;
	pic.unmasked = 0;
}

static void pulse(int irq)
{
	pic_core_input(&pic, irq, 1);
	pic_core_input(&pic, irq, 0);
}

static void test_edge(void)
{
	setup(1);
	expect_eq(pic.output, 0);
	expect_eq(pic_core_input(&pic, 3, 1), 1);
	expect_eq(pic.output, 1);
	expect_eq(pic_core_input(&pic, 3, 1), 0);
	expect_eq(pic_core_intack(&pic), 0x23);
	expect_eq(pic.output, 0);
	/* still high: no new edge */
	pic_core_write(&pic, 0x20, 0x20);
	expect_eq(pic.acked, BIT(3));
	expect_eq(pic.output, 0);
	pic_core_input(&pic, 3, 0);
	pic_core_input(&pic, 3, 1);
	expect_eq(pic.output, 1);
}

static void test_level(void)
{
	setup(1);
	pic_core_write(&pic, 0x4d0, 0xff);
	expect_eq(pic_core_read(&pic, 0x4d0), 0xf8);
	pic_core_write(&pic, 0x4d1, 0xff);
	expect_eq(pic_core_read(&pic, 0x4d1), 0xde);
	pic_core_input(&pic, 5, 1);
	expect_eq(pic_core_intack(&pic), 0x25);
	expect_eq(pic.output, 0);
	/* still asserted when its service ends: again */
	pic_core_write(&pic, 0x20, 0x65);
	expect_eq(pic.output, 1);
	expect_eq(pic_core_intack(&pic), 0x25);
	pic_core_input(&pic, 5, 0);
	pic_core_write(&pic, 0x20, 0x65);
	expect_eq(pic.output, 0);
}

static void test_cascade(void)
{
	setup(1);
	pulse(12);
	expect_eq(pic_core_intack(&pic), 0x2c);
	expect_eq(pic.chip[0].isr, BIT(2));
	expect_eq(pic.chip[1].isr, BIT(4));
	/* a lower one of the master waits, a higher one does not */
	pulse(3);
	expect_eq(pic.output, 0);
	pulse(1);
	expect_eq(pic_core_intack(&pic), 0x21);
	pic_core_write(&pic, 0x20, 0x61);
	pic_core_write(&pic, 0xa0, 0x20);
	pic_core_write(&pic, 0x20, 0x20);
	expect_eq(pic_core_intack(&pic), 0x23);
	/* nobody but the slave drives input 2 */
	setup(1);
	pulse(2);
	expect_eq(pic.output, 0);
}

static void test_spurious(void)
{
	setup(1);
	expect_eq(pic_core_intack(&pic), 0x27);
	expect_eq(pic.chip[0].isr, 0);
	/* a level input that lets go before INTA */
	pic_core_write(&pic, 0x4d1, 0xde);
	pic_core_input(&pic, 9, 1);
	expect_eq(pic.output, 1);
	pic_core_input(&pic, 9, 0);
	expect_eq(pic.output, 0);
	expect_eq(pic_core_intack(&pic), 0x27);
}

static void test_mask(void)
{
	setup(1);
	pic_core_write(&pic, 0x21, 0x02);
	expect_eq(pic_core_input(&pic, 1, 1), -1);
	expect_eq(pic.output, 0);
	expect_eq(pic_core_read(&pic, 0x21), 2);
	expect_eq(pic_core_read(&pic, 0x20), 2);	/* IRR */
	pic_core_write(&pic, 0x21, 0);
	expect_eq(pic.unmasked, BIT(1));
	expect_eq(pic.output, 1);
	expect_eq(pic_core_intack(&pic), 0x21);
	pic_core_write(&pic, 0x20, 0x0b);
	expect_eq(pic_core_read(&pic, 0x20), 2);	/* ISR */
	pic_core_write(&pic, 0x20, 0x0a);
	expect_eq(pic_core_read(&pic, 0x20), 0);
}

static void test_special_mask(void)
{
	setup(1);
	pulse(1);
	pic_core_intack(&pic);
	pulse(4);
	expect_eq(pic.output, 0);
	pic_core_write(&pic, 0x21, 0x02);
	pic_core_write(&pic, 0x20, 0x68);
	expect_eq(pic_core_intack(&pic), 0x24);
	/* the non-specific EOI leaves what is masked */
	pic_core_write(&pic, 0x20, 0x20);
	expect_eq(pic.chip[0].isr, BIT(1));
	pic_core_write(&pic, 0x20, 0x48);
	expect_eq(pic.chip[0].special_mask, 0);
}

static void test_rotation(void)
{
	setup(1);
	pic_core_write(&pic, 0x20, 0xc3);	/* 4 is the highest now */
	pulse(1);
	pulse(5);
	expect_eq(pic_core_intack(&pic), 0x25);
	expect_eq(pic.output, 0);
	pic_core_write(&pic, 0x20, 0xa0);	/* EOI, 6 is the highest */
	expect_eq(pic.chip[0].priority_add, 6);
	expect_eq(pic_core_intack(&pic), 0x21);
	pic_core_write(&pic, 0x20, 0xe1);	/* specific, 2 is the highest */
	expect_eq(pic.chip[0].isr, 0);
	expect_eq(pic.chip[0].priority_add, 2);
}

static void test_auto_eoi(void)
{
	setup(3);
	pulse(4);
	expect_eq(pic_core_intack(&pic), 0x24);
	expect_eq(pic.chip[0].isr, 0);
	expect_eq(pic.acked, BIT(4));
	pic_core_write(&pic, 0x20, 0x80);
	pulse(4);
	pic_core_intack(&pic);
	expect_eq(pic.chip[0].priority_add, 5);
	pic_core_write(&pic, 0x20, 0x00);
	expect_eq(pic.chip[0].rotate_on_auto_eoi, 0);
}

static void test_fully_nested(void)
{
	setup(1);
	pulse(12);
	pic_core_intack(&pic);
	pulse(9);
	expect_eq(pic.output, 0);
	setup(0x11);
	pulse(12);
	pic_core_intack(&pic);
	pulse(9);
	expect_eq(pic.output, 1);
	expect_eq(pic_core_intack(&pic), 0x29);
}

static void test_poll(void)
{
	setup(1);
	pic_core_write(&pic, 0x20, 0x0c);
	expect_eq(pic_core_read(&pic, 0x20), 0);
	pulse(6);
	pic_core_write(&pic, 0x20, 0x0c);
	expect_eq(pic_core_read(&pic, 0x20), 0x86);
	expect_eq(pic.chip[0].isr, BIT(6));
	expect_eq(pic.output, 0);
	/* one read a command */
	expect_eq(pic_core_read(&pic, 0x20), 0);
}

static void test_icw1(void)
{
	setup(1);
	pulse(0);
	pic_core_intack(&pic);
	pulse(3);
	pic_core_write(&pic, 0x21, 0xff);
	pic.acked = 0;
	pic.unmasked = 0;
	pic_core_write(&pic, 0x20, 0x11);
	/* both are gone: who waits for an EOI must hear */
	expect_eq(pic.acked, BIT(0) | BIT(3));
	expect_eq(pic.unmasked, 0xff);
	expect_eq(pic.output, 0);
	expect_eq(pic.chip[0].imr, 0);
	pic_core_write(&pic, 0x21, 0x57);
	expect_eq(pic.chip[0].irq_base, 0x50);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{ "edge-triggered inputs", test_edge },
		{ "level-triggered inputs and ELCR", test_level },
		{ "cascade and priority", test_cascade },
		{ "spurious interrupts", test_spurious },
		{ "mask, IRR and ISR", test_mask },
		{ "special mask mode", test_special_mask },
		{ "rotation of priorities", test_rotation },
		{ "automatic EOI", test_auto_eoi },
		{ "special fully nested mode", test_fully_nested },
		{ "poll command", test_poll },
		{ "ICW1 forgets and tells", test_icw1 },
	};

	return tap_run(tests, sizeof(tests) / sizeof(tests[0]));
}
