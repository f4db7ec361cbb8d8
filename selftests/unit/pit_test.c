// SPDX-License-Identifier: GPL-2.0-only
/* Unit tests of a counter of the 8254 */

#include <stdbool.h>
#include <stdlib.h>

#include <linux/bits.h>

#include "../../kmod/irqchip/pit_counter.h"
#include "tap.h"

static struct pit_counter c;

/* The first ns at which @n clock ticks have passed */
static s64 ticks(u64 n)
{
	return (n * 1000000000ull + PIT_HZ - 1) / PIT_HZ;
}

static void program(u8 control, u16 count)
{
	pit_counter_init(&c, true, 0);
	expect_eq(pit_counter_control(&c, control, 0), PIT_STOPPED);
	switch (control >> 4 & 3) {
	case RW_LSB:
		expect_eq(pit_counter_write(&c, count, 0), PIT_LOADED);
		break;
	case RW_MSB:
		expect_eq(pit_counter_write(&c, count >> 8, 0), PIT_LOADED);
		break;
	case RW_BOTH:
		pit_counter_write(&c, count, 0);
		expect_eq(pit_counter_write(&c, count >> 8, 0), PIT_LOADED);
		break;
	}
}

static u16 read16(s64 now)
{
	u16 low = pit_counter_read(&c, now);

	return low | pit_counter_read(&c, now) << 8;
}

static void test_mode0(void)
{
	program(0x30, 1000);
	expect_eq(read16(0), 1000);
	expect_eq(read16(ticks(400)), 600);
	expect_eq(pit_counter_output(&c, ticks(999)), 0);
	expect_eq(pit_counter_output(&c, ticks(1000)), 1);
	expect_eq(read16(ticks(1001)), 0xffff);
	expect_eq(pit_counter_output(&c, ticks(100000)), 1);
	/* the first byte of a new count stops it, the second starts it */
	expect_eq(pit_counter_write(&c, 5, 0), PIT_STOPPED);
	expect_eq(pit_counter_write(&c, 0, ticks(10)), PIT_LOADED);
	expect_eq(read16(ticks(12)), 3);
}

static void test_mode2(void)
{
	int i;

	program(0x34, 4);
	for (i = 0; i < 12; i++) {
		expect_eq(read16(ticks(i)), 4 - i % 4);
		expect_eq(pit_counter_output(&c, ticks(i)), i % 4 != 3);
	}
	/* 6 is mode 2 as well */
	program(0x3c, 4);
	expect_eq(c.mode, 2);
	/* and 0 means the most */
	program(0x34, 0);
	expect_eq(c.count, 0x10000);
	expect_eq(read16(ticks(1)), 0xffff);
}

static void test_mode3(void)
{
	int i;

	program(0x36, 6);
	for (i = 0; i < 12; i++) {
		expect_eq(read16(ticks(i)), 6 - 2 * (i % 3));
		expect_eq(pit_counter_output(&c, ticks(i)), i % 6 < 3);
	}
	program(0x36, 5);	/* odd: high for one clock more */
	for (i = 0; i < 10; i++)
		expect_eq(pit_counter_output(&c, ticks(i)), i % 5 < 3);
}

static void test_mode4(void)
{
	program(0x38, 10);
	expect_eq(pit_counter_output(&c, ticks(9)), 1);
	expect_eq(pit_counter_output(&c, ticks(10)), 0);
	expect_eq(pit_counter_output(&c, ticks(11)), 1);
}

static void test_bytes(void)
{
	program(0x10, 0x1234);
	expect_eq(c.count, 0x34);
	expect_eq(pit_counter_read(&c, 0), 0x34);
	program(0x20, 0x1234);
	expect_eq(c.count, 0x1200);
	expect_eq(pit_counter_read(&c, 0), 0x12);
	program(0x30, 0x1234);
	expect_eq(pit_counter_read(&c, 0), 0x34);
	expect_eq(pit_counter_read(&c, 0), 0x12);
	expect_eq(pit_counter_read(&c, 0), 0x34);
}

static void test_latch(void)
{
	program(0x34, 1000);
	expect_eq(pit_counter_control(&c, 0x00, ticks(100)), PIT_NOTHING);
	/* a second latch command before it is read is ignored */
	pit_counter_control(&c, 0x00, ticks(200));
	expect_eq(read16(ticks(300)), 900);
	expect_eq(read16(ticks(300)), 700);
}

static void test_read_back(void)
{
	program(0x34, 1000);
	pit_counter_read_back(&c, 0xc2, ticks(100));	/* both */
	expect_eq(pit_counter_read(&c, ticks(200)), 0xb4);
	expect_eq(read16(ticks(200)), 900);
	pit_counter_read_back(&c, 0xe2, ticks(999));	/* status: output low */
	expect_eq(pit_counter_read(&c, ticks(1500)), 0x34);
	/* null count until the count is loaded */
	pit_counter_control(&c, 0x30, 0);
	pit_counter_read_back(&c, 0xe2, 0);
	expect_eq(pit_counter_read(&c, 0), 0x70);
}

static void test_bcd(void)
{
	program(0x35, 0x1000);
	expect_eq(c.count, 1000);
	expect_eq(read16(ticks(1)), 0x0999);
	program(0x35, 0);
	expect_eq(c.count, 10000);
	expect_eq(read16(0), 0);
	/* digits above 9 cannot break it */
	program(0x35, 0xffff);
	expect(c.count >= 1 && c.count <= 10000, "count %u", c.count);
}

static void test_gate(void)
{
	program(0x30, 1000);
	pit_counter_gate(&c, false, ticks(100));
	expect_eq(read16(ticks(500)), 900);
	pit_counter_gate(&c, true, ticks(500));
	expect_eq(read16(ticks(500) + ticks(101)), 799);
	program(0x34, 1000);
	pit_counter_gate(&c, false, ticks(999));
	expect_eq(pit_counter_output(&c, ticks(999)), 1);
	pit_counter_gate(&c, true, ticks(2000));
	expect_eq(read16(ticks(2000) + ticks(1)), 999);
}

static void test_garbage(void)
{
	u8 *bytes = (u8 *)&c;
	int i, j;

	srandom(1);
	for (i = 0; i < 20000; i++) {
		s64 now = (s64)((u64)random() << 33 ^ random());

		/* flags are flags: what the caller stored in a bool */
		for (j = 0; j < (int)sizeof(c); j++)
			bytes[j] = random();
		c.status_latched = random() & 1;
		c.bcd = random() & 1;
		c.gate = random() & 1;
		c.null_count = random() & 1;
		pit_counter_sanitize(&c, now);
		expect(c.count >= 1 && c.count <= 0x10000, "count %u", c.count);
		pit_counter_output(&c, now + random());
		pit_counter_read(&c, now + random());
		pit_counter_write(&c, random(), now);
		pit_counter_read_back(&c, random(), now);
		pit_counter_control(&c, random(), now);
		pit_counter_read(&c, now);
	}
}

int main(void)
{
	static const struct tap_test tests[] = {
		{ "mode 0, interrupt on terminal count", test_mode0 },
		{ "mode 2, rate generator", test_mode2 },
		{ "mode 3, square wave", test_mode3 },
		{ "mode 4, software strobe", test_mode4 },
		{ "access by low byte, high byte, both", test_bytes },
		{ "counter latch command", test_latch },
		{ "read-back command", test_read_back },
		{ "BCD counting", test_bcd },
		{ "gate", test_gate },
		{ "saved state of any content", test_garbage },
	};

	return tap_run(tests, sizeof(tests) / sizeof(tests[0]));
}
