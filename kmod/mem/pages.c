// SPDX-License-Identifier: GPL-2.0-only
/* The pages of memory objects: states, population, access from the kernel */

#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/wait.h>

#include "../trace.h"
#include "private.h"

#define PAGE_GFP	(GFP_USER | __GFP_ACCOUNT)

struct page *mem_zero_page;

static atomic_long_t private_pages;	/* of all objects */

long mem_pages_allocated(void)
{
	return atomic_long_read(&private_pages) + atomic_long_read(&mem_shared_frames);
}

long mem_pages_shared(void)
{
	return atomic_long_read(&mem_shared_frames);
}

/* -- states ------------------------------------------------------------------- */

static const u8 legal[MEM_PAGE_STATES] = {
	[MEM_ABSENT] = BIT(MEM_PRIVATE),
	/* PRIVATE again: another frame with the same content */
	[MEM_PRIVATE] = BIT(MEM_ABSENT) | BIT(MEM_PRIVATE) | BIT(MEM_SHARED) | BIT(MEM_ZERO) |
			BIT(MEM_BALLOONED),
	[MEM_SHARED] = BIT(MEM_ABSENT) | BIT(MEM_PRIVATE) | BIT(MEM_BALLOONED),
	[MEM_ZERO] = BIT(MEM_ABSENT) | BIT(MEM_PRIVATE) | BIT(MEM_BALLOONED),
	[MEM_BALLOONED] = BIT(MEM_ABSENT) | BIT(MEM_PRIVATE),
};

static void count_step(struct mem_counts *c, enum mem_page_state from, enum mem_page_state to)
{
	c->state[from]--;
	c->state[to]++;
	atomic_long_add((to == MEM_PRIVATE) - (from == MEM_PRIVATE), &private_pages);

	c->merged += to == MEM_SHARED;
	c->zeroed += to == MEM_ZERO;
	c->punched += to == MEM_BALLOONED;
	c->refaulted += from == MEM_BALLOONED && to == MEM_PRIVATE;
}

int object_set(struct mem_object *obj, pgoff_t index, void *entry)
{
	enum mem_page_state from, to = entry_state(entry);
	int err;

	lockdep_assert_held_write(&obj->lock);
	from = entry_state(xa_load(&obj->pages, index));
	if (WARN_ON_ONCE(!(legal[from] & BIT(to)) || object_in_block(obj, index)))
		return -EINVAL;

	err = xa_err(xa_store(&obj->pages, index, entry, GFP_KERNEL_ACCOUNT));
	if (err)
		return err;
	if (entry)
		xa_set_mark(&obj->pages, index, OBJECT_DIRTY);
	count_step(&obj->counts, from, to);
	trace_emys_page_state(obj->id, index, from, to);
	return 0;
}

void object_drop(struct mem_object *obj, pgoff_t index, void *entry)
{
	void *old = xa_load(&obj->pages, index);
	enum mem_page_state from = entry_state(old);

	if (object_in_block(obj, index))
		object_set_block(obj, round_down(index, MEM_BLOCK_PAGES), false);
	if (object_set(obj, index, entry))
		return;
	if (from == MEM_PRIVATE)
		object_free(pfn_to_page(xa_to_value(old) >> ENTRY_STATE_BITS));
	else if (from == MEM_SHARED)
		shared_unuse(old);
}

void object_mark_dirty(struct mem_object *obj, pgoff_t first, pgoff_t last)
{
	XA_STATE(xas, &obj->pages, first);
	void *entry;

	xas_lock(&xas);
	xas_for_each(&xas, entry, last)
		xas_set_mark(&xas, OBJECT_DIRTY);
	xas_unlock(&xas);
}

void mem_object_counts(struct mem_object *obj, struct mem_counts *counts)
{
	u64 end, present = 0;
	int i;

	down_read(&obj->lock);
	*counts = obj->counts;
	for (i = MEM_ABSENT + 1; i < MEM_PAGE_STATES; i++)
		present += counts->state[i];
	end = mem_object_end(obj);
	counts->state[MEM_ABSENT] = obj->dead || end < present ? 0 : end - present;
	up_read(&obj->lock);
}

/* -- population ---------------------------------------------------------------- */

static bool throttle;
static atomic64_t throttled;
static DECLARE_WAIT_QUEUE_HEAD(freed_wait);
static atomic64_t freed;

u64 mem_throttle(bool on)
{
	WRITE_ONCE(throttle, on);
	if (!on)
		wake_up_all(&freed_wait);
	return atomic64_xchg(&throttled, 0);
}

void object_free(struct page *page)
{
	put_page(page);
	atomic64_inc(&freed);
	if (wq_has_sleeper(&freed_wait))
		wake_up(&freed_wait);
}

static void wait_for_memory(void)
{
	u64 seen = atomic64_read(&freed);

	atomic64_inc(&throttled);
	wait_event_killable_timeout(freed_wait,
				    atomic64_read(&freed) != seen || !READ_ONCE(throttle),
				    msecs_to_jiffies(10));
}

/*
 * The OOM killer does not see memory that only the guest has mapped and would choose
 * somebody else. So for the guest fail rather.
 */
struct page *object_alloc(bool zero, bool user)
{
	gfp_t gfp = PAGE_GFP | (zero ? __GFP_ZERO : 0);

	if (!user)
		gfp |= __GFP_RETRY_MAYFAIL | __GFP_NOWARN;
	if (READ_ONCE(throttle))
		wait_for_memory();
	return alloc_page(gfp);
}

static int populate(struct mem_object *obj, pgoff_t index, bool user)
{
	struct page *page;
	int err = 0;

	if (object_populate_block(obj, index))
		return 0;
	page = object_alloc(true, user);
	if (!page)
		return -ENOMEM;

	down_write(&obj->lock);
	if (obj->dead) {
		err = -ESTALE;
	} else if (!entry_page(xa_load(&obj->pages, index))) {
		err = object_set(obj, index, entry_make(MEM_PRIVATE, page));
		if (!err)
			page = NULL;
	}
	up_write(&obj->lock);
	if (page)
		put_page(page);
	return err;
}

int object_touch(struct mem_object *obj, pgoff_t index, bool write, bool user)
{
	enum mem_page_state state = entry_state(xa_load(&obj->pages, index));

	if (fatal_signal_pending(current))
		return -EINTR;
	switch (state) {
	case MEM_ABSENT:
	case MEM_BALLOONED:
		return populate(obj, index, user);
	case MEM_SHARED:
	case MEM_ZERO:
		return write ? object_unshare(obj, index, true, user) : 0;
	default:
		return 0;
	}
}

/* -- looking at pages ------------------------------------------------------------ */

int mem_page_get(struct mem_object *obj, pgoff_t index, struct mem_page *p)
{
	void *entry;

	down_read(&obj->lock);
	if (obj->dead) {
		up_read(&obj->lock);
		return -ESTALE;
	}
	entry = xa_load(&obj->pages, index);
	p->state = entry_state(entry);
	p->page = p->state == MEM_ZERO ? NULL : entry_page(entry);
	p->large = p->state == MEM_PRIVATE && object_in_block(obj, index);
	p->shared = p->state == MEM_SHARED ? entry : NULL;
	if (p->page)
		get_page(p->page);
	up_read(&obj->lock);
	return 0;
}

/* As a rule the object keeps the page: nothing comes free that somebody may wait for. */
void mem_page_put(struct mem_page *p)
{
	if (p->page)
		put_page(p->page);
	p->page = NULL;
}

int mem_count_states(struct mem_object *obj, pgoff_t first, unsigned long n,
		     u32 state[MEM_PAGE_STATES])
{
	XA_STATE(xas, &obj->pages, first);
	bool dead;
	void *entry;

	memset(state, 0, sizeof(*state) * MEM_PAGE_STATES);
	state[MEM_ABSENT] = n;
	down_read(&obj->lock);
	dead = obj->dead;
	/* Who changes entries has the lock for writing, so none is met half changed */
	rcu_read_lock();
	xas_for_each(&xas, entry, first + n - 1) {
		state[MEM_ABSENT]--;
		state[entry_state(entry)]++;
	}
	rcu_read_unlock();
	up_read(&obj->lock);
	return dead ? -ESTALE : 0;
}

pgoff_t mem_page_next(struct mem_object *obj, pgoff_t index, bool large)
{
	pgoff_t found = ULONG_MAX;
	void *entry;

	down_read(&obj->lock);
	entry = xa_find(&obj->pages, &index, ULONG_MAX - 1, XA_PRESENT);
	while (entry) {
		bool skip = !large && object_in_block(obj, index);

		if (entry_state(entry) == MEM_PRIVATE && !skip) {
			found = index;
			break;
		}
		if (skip)
			index = round_down(index, MEM_BLOCK_PAGES) + MEM_BLOCK_PAGES - 1;
		entry = xa_find_after(&obj->pages, &index, ULONG_MAX - 1, XA_PRESENT);
	}
	up_read(&obj->lock);
	return found;
}

/* -- access from the kernel ----------------------------------------------------- */

/* Aligned words in one access: page-table entries must not be torn. */
static void copy_atomic(void *dst, const void *src, size_t len)
{
	unsigned long both = (unsigned long)dst | (unsigned long)src;

	if (len == 8 && IS_ALIGNED(both, 8))
		WRITE_ONCE(*(u64 *)dst, READ_ONCE(*(const u64 *)src));
	else if (len == 4 && IS_ALIGNED(both, 4))
		WRITE_ONCE(*(u32 *)dst, READ_ONCE(*(const u32 *)src));
	else
		memcpy(dst, src, len);
}

static size_t chunk(u64 pos, size_t len)
{
	return min_t(size_t, len, PAGE_SIZE - offset_in_page(pos));
}

int object_read(struct mem_object *obj, u64 pos, void *dst, size_t len)
{
	while (len) {
		size_t n = chunk(pos, len);
		struct page *page;

		down_read(&obj->lock);
		page = entry_page(xa_load(&obj->pages, pos >> PAGE_SHIFT));
		if (page)
			copy_atomic(dst, page_address(page) + offset_in_page(pos), n);
		else
			memset(dst, 0, n);
		up_read(&obj->lock);
		pos += n;
		dst += n;
		len -= n;
	}
	return 0;
}

/* Copy and mark in one hold of the lock: a harvest sees both or neither. */
static bool write_page(struct mem_object *obj, u64 pos, const void *src, size_t n)
{
	pgoff_t index = pos >> PAGE_SHIFT;
	bool done = false;
	void *entry;

	down_read(&obj->lock);
	entry = xa_load(&obj->pages, index);
	if (entry_usable(entry, true)) {
		copy_atomic(page_address(entry_page(entry)) + offset_in_page(pos), src, n);
		if (!xa_get_mark(&obj->pages, index, OBJECT_DIRTY))
			xa_set_mark(&obj->pages, index, OBJECT_DIRTY);
		done = true;
	}
	up_read(&obj->lock);
	return done;
}

int object_write(struct mem_object *obj, u64 pos, const void *src, size_t len)
{
	while (len) {
		size_t n = chunk(pos, len);
		int err;

		if (!write_page(obj, pos, src, n)) {
			err = object_touch(obj, pos >> PAGE_SHIFT, true, false);
			if (err)
				return err;
			continue;
		}
		pos += n;
		src += n;
		len -= n;
	}
	return 0;
}
