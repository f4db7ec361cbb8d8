// SPDX-License-Identifier: GPL-2.0-only
/* The thread: which domain scans when, within the budgets */

#include <linux/err.h>
#include <linux/freezer.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/sched.h>
#include <linux/wait.h>

#include "engine.h"

#define SWEEP_NS	(2 * NSEC_PER_SEC)	/* how often what is dead is looked for */

static struct task_struct *thread;
static DECLARE_WAIT_QUEUE_HEAD(thread_wait);
static bool woken, hurry;

void thread_wake(void)
{
	WRITE_ONCE(woken, true);
	wake_up(&thread_wait);
}

void emys_dedup_hurry(bool on)
{
	WRITE_ONCE(hurry, on);
	if (on)
		thread_wake();
}

/* Faster while there is something to find, slower while there is not. */
static void adapt(struct dedup_engine *engine, u64 looked, u64 found)
{
	u32 pages = engine->policy.pages, least = max(pages / 16, 1U);

	if (!engine->policy.adaptive || READ_ONCE(hurry))
		engine->rate = pages;
	else if (found && found * 100 >= looked)
		engine->rate = min(engine->rate * 2, pages);
	else if (found * 1000 <= looked)
		engine->rate = max(engine->rate - max(engine->rate / 8, 1U), least);
}

/* One turn of a domain. It is due again when its sleep is over and its share of the CPU allows. */
static void turn(struct dedup_engine *engine)
{
	struct dedup_stats before;
	u64 begin = ktime_get_ns(), used, sleep;
	int err;

	mutex_lock(&engine->lock);
	before = engine->core.stats;
	err = scan_step(engine, engine->rate);
	adapt(engine, engine->core.stats.scanned - engine->core.stats.skipped - before.scanned +
	      before.skipped, engine->core.stats.merged + engine->core.stats.zeroed -
	      before.merged - before.zeroed);
	used = ktime_get_ns() - begin;
	sleep = used * (1000 - engine->policy.cpu_permille) / engine->policy.cpu_permille;
	if (!READ_ONCE(hurry))
		sleep = max_t(u64, sleep, engine->policy.sleep_ms * (u64)NSEC_PER_MSEC);
	if (err < 0)
		sleep = max_t(u64, sleep, NSEC_PER_SEC);
	mutex_unlock(&engine->lock);
	engine->due = begin + used + sleep;
}

/* Let go of what died, in domains that nobody scans too. */
static void sweep(struct dedup_engine *engine)
{
	mutex_lock(&engine->lock);
	engine_drop_left(engine);
	mutex_unlock(&engine->lock);
	engine_retire(engine);
}

/* Every domain that is due gets one turn. Returns when the next is due, or 0: none will be. */
static u64 go_round(u64 *swept)
{
	u64 now = ktime_get_ns(), next = 0;
	bool due = now - *swept >= SWEEP_NS;
	bool more = engine_make_default();
	struct dedup_engine *engine;
	u32 domain = 0;

	if (due)
		*swept = now;
	while ((engine = engine_next(domain)) && !kthread_should_stop()) {
		domain = engine->domain;
		if (due)
			sweep(engine);
		if (READ_ONCE(engine->policy.run) && mutex_trylock(&engine->scan_lock)) {
			if (READ_ONCE(hurry) && engine->due > now + NSEC_PER_SEC)
				engine->due = now;
			if (engine->due <= now)
				turn(engine);
			mutex_unlock(&engine->scan_lock);
			next = next ? min(next, engine->due) : engine->due;
		}
		engine_put(engine);
		cond_resched();
		try_to_freeze();
	}
	if (engine)
		engine_put(engine);
	if (more || domain)
		next = next ? min(next, *swept + SWEEP_NS) : *swept + SWEEP_NS;
	return next;
}

static int thread_fn(void *arg)
{
	u64 swept = 0, next, now;
	long timeout;

	set_user_nice(current, 5);
	set_freezable();
	while (!kthread_should_stop()) {
		/* before what the round reads: a wake-up from then on is for the next */
		smp_store_mb(woken, false);
		next = go_round(&swept);
		now = ktime_get_ns();
		timeout = MAX_SCHEDULE_TIMEOUT;
		if (next)
			timeout = next > now ? nsecs_to_jiffies(next - now) + 1 : 1;
		wait_event_freezable_timeout(thread_wait,
					     READ_ONCE(woken) || kthread_should_stop(), timeout);
	}
	return 0;
}

int thread_init(void)
{
	thread = kthread_run(thread_fn, NULL, "emys-dedup");
	return PTR_ERR_OR_ZERO(thread);
}

void thread_exit(void)
{
	kthread_stop(thread);
}
