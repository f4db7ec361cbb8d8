// SPDX-License-Identifier: GPL-2.0-only
/*
 * The 8254 interval timer; counter 0 drives GSI 0, counter 2 the speaker.
 *
 * The hrtimer runs under pit->lock: it is started and stopped with the lock
 * held, and a callback that comes too late finds it disarmed or queued anew.
 * Reinjection: a tick whose predecessor was not yet acknowledged waits, so
 * that a guest that counts ticks loses none.
 */
#include <linux/bcd.h>
#include <linux/math64.h>
#include <linux/slab.h>

#include "compat/hrtimer.h"
#include "emys.h"
#include "irqchip/chip.h"

#define PIT_HZ			1193182
/* A guest cannot make the host take timer interrupts faster than this. */
#define MIN_PERIOD_NS		200000
#define PORT_COUNTER0		0x40
#define PORT_CONTROL		0x43
#define PORT_SPEAKER		0x61

/* How the bytes of a count follow each other: bits 5:4 of the control word. */
enum { RW_NONE, RW_LSB, RW_MSB, RW_BOTH, RW_BOTH_MSB };

struct counter {
	u32 count;			/* initial count, 1..0x10000 */
	u16 latched;
	u8 count_latched;		/* RW_* of the byte that is read next, RW_NONE not latched */
	bool status_latched;
	u8 status;
	u8 read_state, write_state;	/* RW_* */
	u8 write_latch;
	u8 rw, mode;
	bool bcd, gate;
	bool null_count;		/* control word written, count not yet */
	ktime_t loaded;
	ktime_t stopped;		/* when the gate went low */
};

struct emys_pit {
	struct emys_vm *vm;
	raw_spinlock_t lock;
	struct counter counter[3];
	u32 flags;			/* KVM_PIT_FLAGS_* */
	bool speaker;			/* port 0x61 is ours */
	bool speaker_data;
	struct hrtimer timer;
	bool armed;
	u64 period_ns;			/* 0 one-shot */
	bool reinject;
	bool acked;			/* the last tick was acknowledged */
	u32 owed;			/* ticks waiting for that */
};

static void tick(struct emys_pit *pit)
{
	irqchip_set_irq(pit->vm, 0, IRQ_SRC_PIT, 1);
	irqchip_set_irq(pit->vm, 0, IRQ_SRC_PIT, 0);
}

static enum hrtimer_restart expired(struct hrtimer *timer)
{
	struct emys_pit *pit = container_of(timer, struct emys_pit, timer);
	enum hrtimer_restart ret = HRTIMER_NORESTART;
	unsigned long flags;
	bool send = false;
	u64 n = 1;

	raw_spin_lock_irqsave(&pit->lock, flags);
	if (pit->armed && !hrtimer_is_queued(timer)) {
		if (pit->period_ns) {
			n = hrtimer_forward_now(timer, ns_to_ktime(pit->period_ns));
			ret = HRTIMER_RESTART;
		} else {
			pit->armed = false;
		}
		if (!pit->reinject) {
			send = true;
		} else if (pit->acked) {
			pit->acked = false;
			send = true;
			n--;
		}
		if (pit->reinject)
			pit->owed = min_t(u64, pit->owed + n, INT_MAX);
	}
	raw_spin_unlock_irqrestore(&pit->lock, flags);
	if (send)
		tick(pit);
	return ret;
}

void pit_acked(struct emys_vm *vm)
{
	struct emys_pit *pit = vm->pit;
	unsigned long flags;
	bool send = false;

	if (!pit)
		return;
	raw_spin_lock_irqsave(&pit->lock, flags);
	pit->acked = true;
	if (pit->reinject && pit->owed) {
		pit->owed--;
		pit->acked = false;
		send = true;
	}
	raw_spin_unlock_irqrestore(&pit->lock, flags);
	if (send)
		tick(pit);
}

void pit_unmasked(struct emys_vm *vm)
{
	struct emys_pit *pit = vm->pit;
	unsigned long flags;

	if (!pit)
		return;
	/* ticks of the time it was masked are nobody's */
	raw_spin_lock_irqsave(&pit->lock, flags);
	pit->acked = true;
	pit->owed = 0;
	raw_spin_unlock_irqrestore(&pit->lock, flags);
}

static void disarm(struct emys_pit *pit)
{
	pit->armed = false;
	hrtimer_try_to_cancel(&pit->timer);
}

static void arm(struct emys_pit *pit)
{
	struct counter *c = &pit->counter[0];
	u64 ns = div_u64((u64)c->count * NSEC_PER_SEC, PIT_HZ);

	disarm(pit);
	pit->acked = true;
	pit->owed = 0;
	if (pit->flags & KVM_PIT_FLAGS_HPET_LEGACY)
		return;
	switch (c->mode) {
	case 0:
	case 4:
		pit->period_ns = 0;
		break;
	case 2:
	case 3:
		ns = max_t(u64, ns, MIN_PERIOD_NS);
		pit->period_ns = ns;
		break;
	default:	/* 1 and 5 wait for an edge of the gate, which is tied high */
		return;
	}
	pit->armed = true;
	hrtimer_start(&pit->timer, ktime_add_ns(ktime_get(), ns), HRTIMER_MODE_ABS_HARD);
}

/* Clock ticks since the count was loaded. */
static u64 elapsed(const struct counter *c)
{
	s64 ns = ktime_to_ns(ktime_sub(c->gate ? ktime_get() : c->stopped, c->loaded));

	return mul_u64_u32_div(max(ns, (s64)0), PIT_HZ, NSEC_PER_SEC);
}

static u32 modulus(const struct counter *c)
{
	return c->bcd ? 10000 : 0x10000;
}

static u16 current_count(const struct counter *c)
{
	u64 d = elapsed(c);
	u32 left, rem;

	switch (c->mode) {
	case 0:
	case 1:
	case 4:
	case 5:
		/* counts on below zero */
		div_u64_rem(d, modulus(c), &rem);
		left = c->count + modulus(c) - rem;
		break;
	case 3:
		div_u64_rem(2 * d, c->count, &rem);
		left = c->count - rem;
		break;
	default:
		div_u64_rem(d, c->count, &rem);
		left = c->count - rem;
		break;
	}
	left %= modulus(c);
	return c->bcd ? bin2bcd(left / 100) << 8 | bin2bcd(left % 100) : left;
}

static bool output(const struct counter *c)
{
	u64 d = elapsed(c);
	u32 rem;

	switch (c->mode) {
	case 0:
		return !c->null_count && d >= c->count;
	case 1:
		return c->null_count || d >= c->count;
	case 2:		/* low for the last clock of the period */
		div_u64_rem(d, c->count, &rem);
		return c->null_count || rem != c->count - 1;
	case 3:
		div_u64_rem(d, c->count, &rem);
		return c->null_count || rem < (c->count + 1) / 2;
	default:
		return c->null_count || d != c->count;
	}
}

static void load(struct emys_pit *pit, int n, u16 val)
{
	struct counter *c = &pit->counter[n];

	c->count = c->bcd ? bcd2bin(val >> 8) * 100 + bcd2bin(val & 0xff) : val;
	if (!c->count || c->count > modulus(c))
		c->count = modulus(c);
	c->null_count = false;
	c->loaded = ktime_get();
	c->stopped = c->loaded;
	if (n == 0)
		arm(pit);
}

static void set_gate(struct counter *c, bool gate)
{
	if (c->gate && !gate)
		c->stopped = ktime_get();
	/* a rising edge lets modes 0 and 4 go on and starts the others over */
	if (!c->gate && gate)
		c->loaded = c->mode & 3 ? ktime_get() :
			    ktime_add(c->loaded, ktime_sub(ktime_get(), c->stopped));
	c->gate = gate;
}

static void latch_count(struct counter *c)
{
	if (c->count_latched)
		return;
	c->latched = current_count(c);
	c->count_latched = c->rw;
}

static void latch_status(struct counter *c)
{
	if (c->status_latched)
		return;
	c->status = output(c) << 7 | c->null_count << 6 | c->rw << 4 | c->mode << 1 | c->bcd;
	c->status_latched = true;
}

static void write_control(struct emys_pit *pit, u8 val)
{
	int n = val >> 6;
	struct counter *c;

	if (n == 3) {
		/* read-back command: bits 1 to 3 select, 0 in 5 and 4 means latch */
		for (n = 0; n < 3; n++) {
			if (!(val & 2 << n))
				continue;
			if (!(val & 0x20))
				latch_count(&pit->counter[n]);
			if (!(val & 0x10))
				latch_status(&pit->counter[n]);
		}
		return;
	}
	c = &pit->counter[n];
	if (!(val & 0x30)) {
		latch_count(c);
		return;
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
	if (n == 0)
		disarm(pit);
}

static void write_counter(struct emys_pit *pit, int n, u8 val)
{
	struct counter *c = &pit->counter[n];

	switch (c->write_state) {
	case RW_LSB:
		load(pit, n, val);
		break;
	case RW_MSB:
		load(pit, n, val << 8);
		break;
	case RW_BOTH:
		c->write_latch = val;
		c->write_state = RW_BOTH_MSB;
		/* mode 0 stops counting at the first byte */
		if (n == 0 && c->mode == 0)
			disarm(pit);
		break;
	case RW_BOTH_MSB:
		c->write_state = RW_BOTH;
		load(pit, n, c->write_latch | val << 8);
		break;
	}
}

static u8 read_counter(struct counter *c)
{
	u8 *state = c->count_latched ? &c->count_latched : &c->read_state;
	u16 val;

	if (c->status_latched) {
		c->status_latched = false;
		return c->status;
	}
	val = c->count_latched ? c->latched : current_count(c);
	switch (*state) {
	case RW_BOTH:
		*state = RW_BOTH_MSB;
		return val;
	case RW_BOTH_MSB:
		*state = state == &c->count_latched ? RW_NONE : RW_BOTH;
		/* the next unlatched read, if this was one, begins with the low byte */
		return val >> 8;
	case RW_MSB:
		c->count_latched = RW_NONE;
		return val >> 8;
	default:
		c->count_latched = RW_NONE;
		return val;
	}
}

static u8 read_speaker(struct emys_pit *pit)
{
	struct counter *c = &pit->counter[2];
	/* bit 4 toggles with each memory refresh, every 15 us */
	u8 refresh = div_u64(ktime_to_ns(ktime_get()), 15085) & 1;

	return c->gate | pit->speaker_data << 1 | refresh << 4 | output(c) << 5;
}

bool pit_port(struct emys_vm *vm, u16 port)
{
	struct emys_pit *pit = vm->pit;

	return pit && ((port & ~3) == PORT_COUNTER0 || (port == PORT_SPEAKER && pit->speaker));
}

u8 pit_read(struct emys_vm *vm, u16 port)
{
	struct emys_pit *pit = vm->pit;
	unsigned long flags;
	u8 val = 0;

	raw_spin_lock_irqsave(&pit->lock, flags);
	if (port == PORT_SPEAKER)
		val = read_speaker(pit);
	else if (port != PORT_CONTROL)
		val = read_counter(&pit->counter[port & 3]);
	raw_spin_unlock_irqrestore(&pit->lock, flags);
	return val;
}

void pit_write(struct emys_vm *vm, u16 port, u8 val)
{
	struct emys_pit *pit = vm->pit;
	unsigned long flags;

	raw_spin_lock_irqsave(&pit->lock, flags);
	if (port == PORT_SPEAKER) {
		pit->speaker_data = val & 2;
		set_gate(&pit->counter[2], val & 1);
	} else if (port == PORT_CONTROL) {
		write_control(pit, val);
	} else {
		write_counter(pit, port & 3, val);
	}
	raw_spin_unlock_irqrestore(&pit->lock, flags);
}

int pit_create(struct emys_vm *vm, const struct kvm_pit_config *cfg)
{
	struct emys_pit *pit;
	int i;

	if (vm->pit)
		return -EEXIST;
	if (!vm->irqchip)
		return -ENOENT;
	if (cfg->flags & ~KVM_PIT_SPEAKER_DUMMY)
		return -EINVAL;
	pit = kzalloc(sizeof(*pit), GFP_KERNEL_ACCOUNT);
	if (!pit)
		return -ENOMEM;
	pit->vm = vm;
	raw_spin_lock_init(&pit->lock);
	compat_hrtimer_setup(&pit->timer, expired, CLOCK_MONOTONIC, HRTIMER_MODE_ABS_HARD);
	pit->speaker = cfg->flags & KVM_PIT_SPEAKER_DUMMY;
	pit->reinject = true;
	pit->acked = true;
	for (i = 0; i < 3; i++) {
		struct counter *c = &pit->counter[i];

		c->mode = 3;
		c->rw = RW_BOTH;
		c->read_state = RW_BOTH;
		c->write_state = RW_BOTH;
		c->gate = i != 2;
		c->count = 0x10000;
		c->null_count = true;
		c->loaded = ktime_get();
		c->stopped = c->loaded;
	}
	smp_store_release(&vm->pit, pit);
	WRITE_ONCE(vm->irqchip->pit_watch, true);
	ioapic_update_map(vm);
	return 0;
}

void pit_destroy(struct emys_vm *vm)
{
	struct emys_pit *pit = vm->pit;
	unsigned long flags;

	if (!pit)
		return;
	raw_spin_lock_irqsave(&pit->lock, flags);
	pit->armed = false;
	raw_spin_unlock_irqrestore(&pit->lock, flags);
	hrtimer_cancel(&pit->timer);
	vm->pit = NULL;
	kfree(pit);
}

int pit_get(struct emys_vm *vm, struct kvm_pit_state2 *ps)
{
	struct emys_pit *pit = vm->pit;
	unsigned long flags;
	int i;

	if (!pit)
		return -ENXIO;
	memset(ps, 0, sizeof(*ps));
	raw_spin_lock_irqsave(&pit->lock, flags);
	for (i = 0; i < 3; i++) {
		const struct counter *c = &pit->counter[i];

		ps->channels[i] = (struct kvm_pit_channel_state) {
			.count = c->count, .latched_count = c->latched,
			.count_latched = c->count_latched, .status_latched = c->status_latched,
			.status = c->status, .read_state = c->read_state,
			.write_state = c->write_state, .write_latch = c->write_latch,
			.rw_mode = c->rw, .mode = c->mode, .bcd = c->bcd, .gate = c->gate,
			.count_load_time = ktime_to_ns(c->loaded),
		};
	}
	ps->flags = pit->flags;
	if (pit->speaker_data)
		ps->flags |= KVM_PIT_FLAGS_SPEAKER_DATA_ON;
	raw_spin_unlock_irqrestore(&pit->lock, flags);
	return 0;
}

int pit_set(struct emys_vm *vm, const struct kvm_pit_state2 *ps)
{
	struct emys_pit *pit = vm->pit;
	unsigned long flags;
	int i;

	if (!pit)
		return -ENXIO;
	raw_spin_lock_irqsave(&pit->lock, flags);
	pit->flags = ps->flags & KVM_PIT_FLAGS_HPET_LEGACY;
	pit->speaker_data = ps->flags & KVM_PIT_FLAGS_SPEAKER_DATA_ON;
	for (i = 0; i < 3; i++) {
		const struct kvm_pit_channel_state *s = &ps->channels[i];
		struct counter *c = &pit->counter[i];

		*c = (struct counter) {
			.latched = s->latched_count,
			.count_latched = min_t(u8, s->count_latched, RW_BOTH_MSB),
			.status_latched = s->status_latched, .status = s->status,
			.read_state = min_t(u8, s->read_state, RW_BOTH_MSB),
			.write_state = min_t(u8, s->write_state, RW_BOTH_MSB),
			.write_latch = s->write_latch, .rw = s->rw_mode & 3,
			.mode = s->mode > 5 ? s->mode & 3 : s->mode,
			.bcd = s->bcd, .gate = s->gate, .loaded = ktime_get(),
		};
		c->stopped = c->loaded;
		/* counting begins anew: the load time is of another machine's clock */
		c->count = s->count && s->count <= modulus(c) ? s->count : modulus(c);
	}
	arm(pit);
	raw_spin_unlock_irqrestore(&pit->lock, flags);
	return 0;
}

int pit_reinject(struct emys_vm *vm, bool reinject)
{
	struct emys_pit *pit = vm->pit;
	unsigned long flags;

	if (!pit)
		return -ENXIO;
	raw_spin_lock_irqsave(&pit->lock, flags);
	pit->reinject = reinject;
	pit->acked = true;
	pit->owed = 0;
	raw_spin_unlock_irqrestore(&pit->lock, flags);
	WRITE_ONCE(vm->irqchip->pit_watch, reinject);
	ioapic_update_map(vm);
	return 0;
}
