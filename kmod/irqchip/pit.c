// SPDX-License-Identifier: GPL-2.0-only
/*
 * The 8254 interval timer; counter 0 drives GSI 0, counter 2 the speaker.
 *
 * The hrtimer runs under pit->lock: it is started and stopped with the lock
 * held, and a callback that comes too late finds it disarmed or queued anew.
 * Reinjection: a tick whose predecessor was not yet acknowledged waits, so
 * that a guest that counts ticks loses none.
 */
#include <linux/math64.h>
#include <linux/slab.h>

#include "compat/hrtimer.h"
#include "emys.h"
#include "irqchip/chip.h"
#include "irqchip/pit_counter.h"

/* A guest cannot make the host take timer interrupts faster than this. */
#define MIN_PERIOD_NS		200000
#define PORT_COUNTER0		0x40
#define PORT_CONTROL		0x43
#define PORT_SPEAKER		0x61

struct emys_pit {
	struct emys_vm *vm;
	raw_spinlock_t lock;
	struct pit_counter counter[3];
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
	int taken = irqchip_set_irq(pit->vm, 0, IRQ_SRC_PIT, 1);
	unsigned long flags;

	irqchip_set_irq(pit->vm, 0, IRQ_SRC_PIT, 0);
	if (taken > 0)
		return;
	/* masked everywhere: nobody is going to acknowledge it */
	raw_spin_lock_irqsave(&pit->lock, flags);
	pit->acked = true;
	raw_spin_unlock_irqrestore(&pit->lock, flags);
}

static enum hrtimer_restart expired(struct hrtimer *timer)
{
	struct emys_pit *pit = container_of(timer, struct emys_pit, timer);
	enum hrtimer_restart ret = HRTIMER_NORESTART;
	unsigned long flags;
	bool mine, send;
	u64 n;

	raw_spin_lock_irqsave(&pit->lock, flags);
	mine = pit->armed && !hrtimer_is_queued(timer);
	send = mine && (!pit->reinject || pit->acked);
	if (send && pit->reinject)
		pit->acked = false;
	if (mine && !pit->period_ns)
		pit->armed = false;
	raw_spin_unlock_irqrestore(&pit->lock, flags);
	if (!mine)
		return ret;
	if (send)
		tick(pit);

	raw_spin_lock_irqsave(&pit->lock, flags);
	if (pit->armed && !hrtimer_is_queued(timer)) {
		/* leave half a period to the guest even when the host is late */
		n = hrtimer_forward(timer, ktime_add_ns(ktime_get(), pit->period_ns / 2),
				    ns_to_ktime(pit->period_ns));
		if (pit->reinject)
			pit->owed = min_t(u64, pit->owed + n - send, INT_MAX);
		ret = HRTIMER_RESTART;
	}
	raw_spin_unlock_irqrestore(&pit->lock, flags);
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
	struct pit_counter *c = &pit->counter[0];
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

static s64 now(void)
{
	return ktime_to_ns(ktime_get());
}

static void effect(struct emys_pit *pit, int n, enum pit_effect e)
{
	if (n == 0 && e == PIT_STOPPED)
		disarm(pit);
	else if (n == 0 && e == PIT_LOADED)
		arm(pit);
}

static void write_control(struct emys_pit *pit, u8 val)
{
	int n = val >> 6;

	if (n < 3) {
		effect(pit, n, pit_counter_control(&pit->counter[n], val, now()));
		return;
	}
	/* read-back command: bits 1 to 3 select */
	for (n = 0; n < 3; n++)
		if (val & 2 << n)
			pit_counter_read_back(&pit->counter[n], val, now());
}

static u8 read_speaker(struct emys_pit *pit)
{
	const struct pit_counter *c = &pit->counter[2];
	/* bit 4 toggles with each memory refresh, every 15 us */
	u8 refresh = div_u64(now(), 15085) & 1;

	return c->gate | pit->speaker_data << 1 | refresh << 4 |
	       pit_counter_output(c, now()) << 5;
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
		val = pit_counter_read(&pit->counter[port & 3], now());
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
		pit_counter_gate(&pit->counter[2], val & 1, now());
	} else if (port == PORT_CONTROL) {
		write_control(pit, val);
	} else {
		effect(pit, port & 3, pit_counter_write(&pit->counter[port & 3], val, now()));
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
	for (i = 0; i < 3; i++)
		pit_counter_init(&pit->counter[i], i != 2, now());	/* 2: port 0x61's bit */
	/* a vCPU that reads a port sees it whole */
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
		const struct pit_counter *c = &pit->counter[i];

		ps->channels[i] = (struct kvm_pit_channel_state) {
			.count = c->count, .latched_count = c->latched,
			.count_latched = c->count_latched, .status_latched = c->status_latched,
			.status = c->status, .read_state = c->read_state,
			.write_state = c->write_state, .write_latch = c->write_latch,
			.rw_mode = c->rw, .mode = c->mode, .bcd = c->bcd, .gate = c->gate,
			.count_load_time = c->loaded,
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
		struct pit_counter *c = &pit->counter[i];

		*c = (struct pit_counter) {
			.count = s->count, .latched = s->latched_count,
			.count_latched = s->count_latched, .status_latched = s->status_latched,
			.status = s->status, .read_state = s->read_state,
			.write_state = s->write_state, .write_latch = s->write_latch,
			.rw = s->rw_mode, .mode = s->mode, .bcd = s->bcd, .gate = s->gate,
		};
		/* counting begins anew: the load time is of another machine's clock */
		pit_counter_sanitize(c, now());
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
