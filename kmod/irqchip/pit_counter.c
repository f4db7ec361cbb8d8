// SPDX-License-Identifier: GPL-2.0-only
/*
 * One counter of an 8254: pure, also built in userspace.
 *
 * Nothing counts: the count and the output follow from the time since the
 * count was loaded.
 */
#include "pit_counter.h"

#define NS_PER_S	1000000000ull

static u32 modulus(const struct pit_counter *c)
{
	return c->bcd ? 10000 : 0x10000;
}

static u16 to_bcd(u32 n)
{
	return n / 1000 << 12 | n / 100 % 10 << 8 | n / 10 % 10 << 4 | n % 10;
}

static u32 from_bcd(u16 n)
{
	return (n >> 12) * 1000 + (n >> 8 & 0xf) * 100 + (n >> 4 & 0xf) * 10 + (n & 0xf);
}

/* Clock ticks since the count was loaded. */
static u64 elapsed(const struct pit_counter *c, s64 now)
{
	s64 end = c->gate ? now : c->stopped;
	u64 ns = end > c->loaded ? end - c->loaded : 0;

	return ns / NS_PER_S * PIT_HZ + ns % NS_PER_S * PIT_HZ / NS_PER_S;
}

static u16 current_count(const struct pit_counter *c, s64 now)
{
	u64 d = elapsed(c, now);
	u32 left;

	switch (c->mode) {
	case 2:
		left = c->count - d % c->count;
		break;
	case 3:		/* by twos, each half of the period from the top */
		left = c->count - 2 * d % c->count;
		break;
	default:	/* counts on below zero */
		left = c->count + modulus(c) - d % modulus(c);
		break;
	}
	left %= modulus(c);
	return c->bcd ? to_bcd(left) : left;
}

bool pit_counter_output(const struct pit_counter *c, s64 now)
{
	u64 d = elapsed(c, now);

	if (c->null_count)
		return c->mode != 0;
	switch (c->mode) {
	case 0:
	case 1:
		return d >= c->count;
	case 2:		/* low for the last clock of the period */
		return !c->gate || d % c->count != c->count - 1;
	case 3:
		return !c->gate || d % c->count < (c->count + 1) / 2;
	default:
		return d != c->count;
	}
}

void pit_counter_gate(struct pit_counter *c, bool gate, s64 now)
{
	if (c->gate && !gate)
		c->stopped = now;
	/* a rising edge lets modes 0 and 4 go on and starts the others over */
	if (!c->gate && gate)
		c->loaded = c->mode & 3 ? now : c->loaded + now - c->stopped;
	c->gate = gate;
}

static enum pit_effect load(struct pit_counter *c, u16 val, s64 now)
{
	c->count = c->bcd ? from_bcd(val) : val;
	if (!c->count || c->count > modulus(c))
		c->count = modulus(c);
	c->null_count = false;
	c->loaded = now;
	c->stopped = now;
	return PIT_LOADED;
}

static void latch_count(struct pit_counter *c, s64 now)
{
	if (c->count_latched)
		return;
	c->latched = current_count(c, now);
	c->count_latched = c->rw;
}

void pit_counter_read_back(struct pit_counter *c, u8 val, s64 now)
{
	/* bits 5 and 4 are active low */
	if (!(val & 0x20))
		latch_count(c, now);
	if (!(val & 0x10) && !c->status_latched) {
		c->status = pit_counter_output(c, now) << 7 | c->null_count << 6 |
			    c->rw << 4 | c->mode << 1 | c->bcd;
		c->status_latched = true;
	}
}

enum pit_effect pit_counter_control(struct pit_counter *c, u8 val, s64 now)
{
	if (!(val & 0x30)) {
		latch_count(c, now);
		return PIT_NOTHING;
	}
	c->rw = val >> 4 & 3;
	c->read_state = c->rw;
	c->write_state = c->rw;
	c->count_latched = RW_NONE;
	c->status_latched = false;
	c->mode = val >> 1 & 7;
	if (c->mode > 5)
		c->mode &= 3;	/* bit 2 is "don't care" in modes 2 and 3 */
	c->bcd = val & 1;
	c->null_count = true;
	if (c->count > modulus(c))
		c->count = modulus(c);
	return PIT_STOPPED;
}

enum pit_effect pit_counter_write(struct pit_counter *c, u8 val, s64 now)
{
	switch (c->write_state) {
	case RW_LSB:
		return load(c, val, now);
	case RW_MSB:
		return load(c, val << 8, now);
	case RW_BOTH:
		c->write_latch = val;
		c->write_state = RW_BOTH_MSB;
		/* mode 0 stops counting at the first byte */
		return c->mode == 0 ? PIT_STOPPED : PIT_NOTHING;
	case RW_BOTH_MSB:
		c->write_state = RW_BOTH;
		return load(c, c->write_latch | val << 8, now);
	default:
		return PIT_NOTHING;
	}
}

u8 pit_counter_read(struct pit_counter *c, s64 now)
{
	bool latched = c->count_latched != RW_NONE;
	u8 state = latched ? c->count_latched : c->read_state;
	u16 val;

	if (c->status_latched) {
		c->status_latched = false;
		return c->status;
	}
	val = latched ? c->latched : current_count(c, now);
	if (state == RW_BOTH) {
		if (latched)
			c->count_latched = RW_BOTH_MSB;
		else
			c->read_state = RW_BOTH_MSB;
		return val;
	}
	if (latched)
		c->count_latched = RW_NONE;
	else if (state == RW_BOTH_MSB)
		c->read_state = RW_BOTH;
	return state == RW_LSB ? val : val >> 8;
}

void pit_counter_init(struct pit_counter *c, bool gate, s64 now)
{
	*c = (struct pit_counter) {
		.count = 0x10000, .mode = 3, .rw = RW_BOTH, .read_state = RW_BOTH,
		.write_state = RW_BOTH, .gate = gate, .null_count = true,
		.loaded = now, .stopped = now,
	};
}

void pit_counter_sanitize(struct pit_counter *c, s64 now)
{
	c->rw = c->rw & 3 ? c->rw & 3 : RW_BOTH;
	if (c->mode > 5)
		c->mode &= 3;
	if (c->count_latched > RW_BOTH_MSB)
		c->count_latched = RW_NONE;
	if (c->read_state < RW_LSB || c->read_state > RW_BOTH_MSB)
		c->read_state = c->rw;
	if (c->write_state < RW_LSB || c->write_state > RW_BOTH_MSB)
		c->write_state = c->rw;
	if (!c->count || c->count > modulus(c))
		c->count = modulus(c);
	c->loaded = now;
	c->stopped = now;
}
