/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * pit_counter.h - one counter of an 8254; the caller brings the lock and the time.
 *
 * Source: Intel 82C54 data sheet. Times are in ns of one monotonic clock.
 */
#ifndef _EMYS_IRQCHIP_PIT_COUNTER_H
#define _EMYS_IRQCHIP_PIT_COUNTER_H

#include <linux/types.h>

#define PIT_HZ	1193182

/* How the bytes of a count follow each other: bits 5:4 of the control word. */
enum { RW_NONE, RW_LSB, RW_MSB, RW_BOTH, RW_BOTH_MSB };

struct pit_counter {
	u32 count;			/* initial count, 1..0x10000 */
	u16 latched;
	u8 count_latched;		/* RW_* of the byte read next, RW_NONE: not latched */
	bool status_latched;
	u8 status;
	u8 read_state, write_state;	/* RW_* */
	u8 write_latch;
	u8 rw, mode;
	bool bcd, gate;
	bool null_count;		/* control word written, count not yet */
	s64 loaded;			/* when counting began */
	s64 stopped;			/* when the gate went low */
};

/* What a write did, for the counter that drives an interrupt. */
enum pit_effect { PIT_NOTHING, PIT_STOPPED, PIT_LOADED };

void pit_counter_init(struct pit_counter *c, bool gate, s64 now);
bool pit_counter_output(const struct pit_counter *c, s64 now);
void pit_counter_gate(struct pit_counter *c, bool gate, s64 now);
/* Control word for this counter (bits 7:6 are not looked at). */
enum pit_effect pit_counter_control(struct pit_counter *c, u8 val, s64 now);
/* The read-back command @val, for a counter it selects. */
void pit_counter_read_back(struct pit_counter *c, u8 val, s64 now);
enum pit_effect pit_counter_write(struct pit_counter *c, u8 val, s64 now);
u8 pit_counter_read(struct pit_counter *c, s64 now);
/* Make fields that came from outside possible ones, and begin to count. */
void pit_counter_sanitize(struct pit_counter *c, s64 now);

#endif
