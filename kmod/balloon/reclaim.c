// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: reclaim
 *
 * The thread emys-reclaim. Every sample_ms a round: the host's state by free memory
 * (ladder.c), a sweep over the memory (sweep.c), and what the state asks for:
 *
 *	HIGH	nothing is broken; what is private again and hot becomes large
 *	CLEAR	cold and shareable large pages are broken, deduplication hurries after them
 *	SOFT	other shareable ones too, as far as memory lacks; deduplication hurries
 *	HARD	all that yields anything
 *	LOW	and new pages wait a little (mem_throttle())
 *
 * Between rounds the thread looks at free memory alone, more often, and acts on what it
 * knows when the state got worse or the kernel's shrinker asks. A round is cut into budgets
 * (choose.c), so that none is long however much memory there is.
 *
 * One mutex, the round lock, serialises rounds and guards all that is known of objects. Inside it
 * are taken, one at a time, emys_vms_lock, and what kmod/mem and kmod/ksm_cmd take.
 */
#include <linux/freezer.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "../emys.h"
#include "../ksm_cmd/ksm_cmd.h"
#include "../notice.h"
#include "reclaim.h"

#define ROUND_REGIONS	4096	/* sampled in one round, of all objects: 8 GiB */
#define OBJECT_REGIONS	64	/* and of each at least so many */
#define CANDIDATES	256
#define TICK_MIN_MS	20

DEFINE_MUTEX(reclaim_lock);			/* the round lock: see above */
struct reclaim_counters reclaim_counters;

static DEFINE_SPINLOCK(policy_lock);
static struct reclaim_policy policy = {
	.up = { 0, 4400, 1000, 480, 240 },
	.down = { 0, 4000, 640, 320, 160 },
	.large = LARGE_PROACTIVE,
	.sample_ms = 2000,
	.sample_pages = 16,
	.cold_samples = 5,
	.share_permille = 125,
	.storm = 1000,
};

static enum host_state host_state;	/* round lock to write */
static u64 state_changes, sampled, waits;	/* round lock */
static u32 rounds, nr_objects;		/* round lock */
static u64 broken_regions;		/* round lock; by the last sweeps */
static ktime_t round_time;		/* round lock */

static DECLARE_WAIT_QUEUE_HEAD(thread_wait);
static bool thread_woken;
static struct task_struct *thread;

/* -- policy --------------------------------------------- */

struct reclaim_policy reclaim_policy(void)
{
	struct reclaim_policy copy;

	spin_lock(&policy_lock);
	copy = policy;
	spin_unlock(&policy_lock);
	return copy;
}

void emys_reclaim_policy_get(struct reclaim_policy *copy)
{
	*copy = reclaim_policy();
}

static const char *bad_field(const struct reclaim_policy *p)
{
	if (p->large >= LARGE_POLICIES)
		return "large";
	if (p->sample_ms < 10 || p->sample_ms > 3600000)
		return "sample_ms";
	if (!p->sample_pages || p->sample_pages > MEM_BLOCK_PAGES)
		return "sample_pages";
	if (!p->cold_samples || p->cold_samples > 255)
		return "cold_samples";
	if (!p->share_permille || p->share_permille > 1000)
		return "share_permille";
	if (!p->storm)
		return "storm";
	/* Bytes must fit in 64 bits, with permille above */
	if (p->budget >> 40)
		return "budget";
	if (p->min_free >> 40)
		return "min_free";
	return ladder_bad_bounds(p->up, p->down);
}

void reclaim_wake(void)
{
	WRITE_ONCE(thread_woken, true);
	wake_up(&thread_wait);
}

int emys_reclaim_policy_set(const struct reclaim_policy *new, const char **bad)
{
	*bad = bad_field(new);
	if (*bad)
		return -EINVAL;
	spin_lock(&policy_lock);
	policy = *new;
	spin_unlock(&policy_lock);
	reclaim_wake();
	return 0;
}

/* -- the host's state --------------------------------------------- */

/**
 * struct host_free - what decides
 * @state: the next
 * @used: pages of owned memory
 * @total: pages of what decided
 * @free: of these
 * @deficit: pages to HOST_HIGH
 */
struct host_free {
	enum host_state state;
	u64 used, total, free, deficit;
};

static void add_measure(struct host_free *h, const struct reclaim_policy *p, u64 total, u64 free)
{
	struct ladder_free f = {
		.free = free,
		.min_free = p->min_free ?: ladder_min_free(total),
	};
	enum host_state state = ladder_next(READ_ONCE(host_state), &f, p->up, p->down);

	h->deficit = max(h->deficit, ladder_deficit(&f, p->up));
	/* The first counts unless the next is worse */
	if (h->total && state <= h->state)
		return;
	h->state = state;
	h->total = total;
	h->free = free;
}

static struct host_free host_measure(const struct reclaim_policy *p)
{
	struct host_free h = { .used = mem_pages_allocated() };

	if (p->budget)
		add_measure(&h, p, p->budget, p->budget - min(p->budget, h.used));
	add_measure(&h, p, totalram_pages(), max(si_mem_available(), 0L));
	return h;
}

/* True: it got worse. */
static bool state_set(const struct host_free *h)
{
	struct emys_notice notice = {
		.type = NOTICE_PRESSURE,
		.was = host_state,
		.state = h->state,
		.used = h->used,
		.budget = h->total,
		.free = h->free,
	};

	lockdep_assert_held(&reclaim_lock);
	waits += mem_throttle(h->state == HOST_LOW);
	if (h->state == host_state)
		return false;
	WRITE_ONCE(host_state, h->state);
	state_changes++;
	emys_notify(&notice);
	return notice.state > notice.was;
}

enum host_state emys_host_state(void)
{
	return READ_ONCE(host_state);
}

/* -- a round --------------------------------------------- */

static int see_object(struct reclaim_round *round, struct mem_object *obj, enum large_policy large,
		      struct reclaim_object **seen)
{
	struct reclaim_object *ro = reclaim_object(mem_object_id(obj));

	*seen = ro;
	if (!ro || ro->round == round->number)
		return 0;
	ro->round = round->number;
	ro->large = large;
	return sweep_object(round, obj, ro);
}

static void add_sums(struct reclaim_vm_sums *sums, struct mem_object *obj,
		     const struct reclaim_object *ro)
{
	struct mem_counts counts;

	mem_object_counts(obj, &counts);
	sums->copied += counts.copied;
	sums->refaulted += counts.refaulted;
	if (!ro || !ro->swept)
		return;
	sums->active += ro->last.active;
	sums->present += counts.state[MEM_PRIVATE] + counts.state[MEM_SHARED] +
			 counts.state[MEM_ZERO];
	sums->probed += ro->last.probed;
	sums->share += ro->last.share;
}

/* What goes along the objects of one VM */
struct vm_round {
	struct reclaim_round *round;
	enum large_policy large;
	struct reclaim_vm_sums sums;
};

static int round_vm_object(void *ctx, struct mem_object *obj)
{
	struct vm_round *vr = ctx;
	struct reclaim_object *ro;
	int err;

	err = see_object(vr->round, obj, vr->large, &ro);
	if (!err)
		add_sums(&vr->sums, obj, ro);
	return err;
}

static int round_vms(struct reclaim_round *round, u64 ms)
{
	struct emys_vm *vm;
	u32 after = 0;
	int err = 0;

	while (!err && (vm = emys_vm_next(after))) {
		struct vm_round vr = {
			.round = round,
			.large = reclaim_vm_large(vm, round->policy.large),
		};

		after = vm->id;
		err = mem_vm_objects(vm, round_vm_object, &vr);
		if (!err)
			reclaim_vm_round(vm, &vr.sums, round->policy.storm, ms);
		emys_vm_put(vm);
	}
	return err;
}

/* Objects that no VM has made a slot of yet, or any more. */
static int round_others(struct reclaim_round *round)
{
	struct reclaim_object *ro;
	struct mem_object *obj;
	u32 after = 0, nr = 0;
	int err = 0;

	while (!err && (obj = mem_object_next(after))) {
		after = mem_object_id(obj);
		err = see_object(round, obj, round->policy.large, &ro);
		mem_object_put(obj);
		nr++;
	}
	if (!err)
		nr_objects = nr;
	return err;
}

static void forget_gone(struct reclaim_round *round)
{
	struct reclaim_object *ro;
	unsigned long id;

	xa_for_each(&reclaim_objects, id, ro)
		if (ro->round != round->number)
			reclaim_object_free(ro);
}

static int round_sample(struct reclaim_round *round)
{
	ktime_t now = ktime_get();
	u64 ms = ktime_ms_delta(now, round_time);
	int err;

	round->number = ++rounds;
	err = round_vms(round, ms) ?: round_others(round);
	round_time = now;
	sampled = round->sampled;
	if (!err)
		forget_gone(round);
	return err;
}

static void round_known(struct reclaim_round *round)
{
	struct reclaim_object *ro;
	unsigned long id;

	xa_for_each(&reclaim_objects, id, ro)
		sweep_known(round, ro);
}

static struct sweep_sums all_sums(void)
{
	struct sweep_sums all = { 0 };
	struct reclaim_object *ro;
	unsigned long id;

	xa_for_each(&reclaim_objects, id, ro) {
		const struct sweep_sums *s = &ro->last;

		all.cold += s->cold;
		all.shareable += s->shareable;
		all.broken += s->broken;
		all.pending += s->pending;
		all.zero += s->zero;
	}
	return all;
}

static int round_act(struct reclaim_round *round)
{
	struct sweep_sums all = all_sums();
	struct host_free h;
	int err;

	round->pending = all.pending;
	broken_regions = all.broken;
	err = sweep_break(round);
	/* What may be given: zeros, and what deduplication has yet to find */
	shrink_offer(all.zero + round->pending);
	h = host_measure(&round->policy);
	state_set(&h);
	emys_dedup_hurry(h.state >= HOST_SOFT || (h.state > HOST_HIGH && round->pending));
	return err;
}

/*
 * @sample: a whole round, else act on what is known. @asked: the kernel's shrinker did. Round lock.
 */
static int reclaim_round(bool sample, bool asked)
{
	struct reclaim_round round = { .policy = reclaim_policy() };
	struct host_free h;
	long before;
	int err = 0;

	round.best.at = kmalloc_array(CANDIDATES, sizeof(*round.best.at), GFP_KERNEL);
	if (!round.best.at)
		return -ENOMEM;
	round.best.max = CANDIDATES;
	h = host_measure(&round.policy);
	state_set(&h);
	/* The kernel lacks memory where free memory alone does not say so */
	round.state = max(h.state, asked ? HOST_CLEAR : HOST_HIGH);
	round.deficit = h.deficit;
	round.waiting = all_sums().pending;
	round_budget(round.state, &round.budget);
	round.limit = max(OBJECT_REGIONS, ROUND_REGIONS / max(nr_objects, 1u));
	round.look_every = 1 + broken_regions / round.budget.look;

	before = mem_pages_allocated();
	if (sample)
		err = round_sample(&round);
	else
		round_known(&round);
	if (!err)
		err = round_act(&round);
	if (asked)
		shrink_gave(max(before - mem_pages_allocated(), 0L));
	kfree(round.best.at);
	return err;
}

int emys_reclaim_round(void)
{
	int err;

	if (mutex_lock_interruptible(&reclaim_lock))
		return -EINTR;
	err = reclaim_round(true, shrink_wanted());
	mutex_unlock(&reclaim_lock);
	return err;
}

void emys_reclaim_stats(struct reclaim_stats *stats)
{
	struct reclaim_policy p = reclaim_policy();
	struct sweep_sums all;
	struct host_free h;

	mutex_lock(&reclaim_lock);
	h = host_measure(&p);
	all = all_sums();
	*stats = (struct reclaim_stats) {
		.state = host_state,
		.changes = state_changes,
		.used = h.used,
		.budget = h.total,
		.free = h.free,
		.sampled = sampled,
		.cold = all.cold,
		.shareable = all.shareable,
		.broken_private = reclaim_counters.private,
		.collapsed = reclaim_counters.collapsed,
		.shrunk = shrink_total(),
		.waits = waits,
	};
	memcpy(stats->broken, reclaim_counters.broken, sizeof(stats->broken));
	mutex_unlock(&reclaim_lock);
}

/* -- the thread --------------------------------------------- */

/* Free memory alone; act when it got worse or the kernel asks. */
static void reclaim_tick(void)
{
	struct reclaim_policy p = reclaim_policy();
	struct host_free h = host_measure(&p);
	bool worse, asked;

	mutex_lock(&reclaim_lock);
	worse = state_set(&h);
	asked = shrink_wanted();
	if (worse || asked)
		reclaim_round(false, asked);
	mutex_unlock(&reclaim_lock);
}

/* Sleep until @next, or a tick, or woken. */
static void reclaim_sleep(ktime_t next, u32 sample_ms)
{
	s64 ms = ktime_ms_delta(next, ktime_get());

	/* Nothing owned, nothing to look after */
	if (mem_pages_allocated())
		ms = min_t(s64, ms, max_t(u32, sample_ms / 8, TICK_MIN_MS));
	wait_event_freezable_timeout(thread_wait,
				     READ_ONCE(thread_woken) || kthread_should_stop(),
				     msecs_to_jiffies(clamp_t(s64, ms, 1, 3600000)));
}

static int reclaim_thread(void *unused)
{
	ktime_t next = ktime_get();
	u32 sample_ms;

	set_freezable();
	while (!kthread_should_stop()) {
		/* Before what it stands for is read: who comes later wakes the next sleep */
		smp_store_mb(thread_woken, false);
		sample_ms = reclaim_policy().sample_ms;
		/* A shorter period counts at once */
		next = min(next, ktime_add_ms(ktime_get(), sample_ms));
		if (ktime_compare(ktime_get(), next) < 0) {
			reclaim_tick();
		} else {
			mutex_lock(&reclaim_lock);
			reclaim_round(true, shrink_wanted());
			mutex_unlock(&reclaim_lock);
			next = ktime_add_ms(ktime_get(), sample_ms);
		}
		reclaim_sleep(next, sample_ms);
	}
	return 0;
}

int emys_balloon_init(void)
{
	struct task_struct *t;
	int err;

	round_time = ktime_get();
	err = shrink_init();
	if (err)
		return err;
	t = kthread_run(reclaim_thread, NULL, "emys-reclaim");
	if (IS_ERR(t)) {
		shrink_exit();
		return PTR_ERR(t);
	}
	thread = t;
	return 0;
}

void emys_balloon_exit(void)
{
	struct reclaim_object *ro;
	unsigned long id;

	/* The thread is woken by the shrinker, but does not need it */
	shrink_exit();
	kthread_stop(thread);
	mem_throttle(false);
	emys_dedup_hurry(false);
	xa_for_each(&reclaim_objects, id, ro)
		reclaim_object_free(ro);
}
