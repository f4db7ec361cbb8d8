// SPDX-License-Identifier: GPL-2.0-only
/* Guests made of pages in userspace, on which the deduplication core works */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "dedup_world.h"
#include "tap.h"

/* A shared page. The core frees none: gone ones wait in a list, as in the module. */
struct wshared {
	struct dedup_stable core;
	u8 *data;
	unsigned long users;
	struct wshared *next_gone;
};

struct world *world;
int shim_slab_fail;
static struct wshared *gone;
static u8 zeros[DEDUP_PAGE];

u32 world_random(struct world *w, u32 below)
{
	w->rng ^= w->rng << 13;
	w->rng ^= w->rng >> 7;
	w->rng ^= w->rng << 17;
	return (w->rng >> 16) % below;
}

static bool trouble(void)
{
	return world->trouble && world_random(world, 1000) < world->trouble;
}

static u8 *frame_alloc(const void *from)
{
	u8 *data = malloc(DEDUP_PAGE);

	memcpy(data, from, DEDUP_PAGE);
	world->frames++;
	return data;
}

static void frame_free(u8 *data)
{
	free(data);
	world->frames--;
}

/* -- the surroundings of the core ------------------------------------------------ */

static struct wpage *page_of(struct dedup_item *item)
{
	struct wguest *g = item->owner;

	expect(g->page[item->index].item == item, "an item of no page");
	return &g->page[item->index];
}

static const void *hold(struct dedup_item *item, void **page, bool block)
{
	struct wpage *p = page_of(item);

	*page = NULL;
	if (p->state != W_PRIVATE || (p->block && !block) || trouble())
		return NULL;
	*page = p;
	return p->data;
}

const void *dedup_hold(struct dedup_item *item, void **page)
{
	return hold(item, page, false);
}

const void *dedup_probed_hold(struct dedup_item *item, void **page)
{
	return hold(item, page, true);
}

const void *dedup_stable_hold(struct dedup_stable *node, void **page)
{
	struct wshared *sh = container_of(node, struct wshared, core);

	*page = sh->users ? sh : NULL;
	return sh->users ? sh->data : NULL;
}

void dedup_release(void *page)
{
	expect(page, "released nothing");
}

unsigned long dedup_stable_users(const struct dedup_stable *node)
{
	return container_of(node, struct wshared, core)->users;
}

struct dedup_stable *dedup_stable_alloc(struct dedup_core *core)
{
	struct wshared *sh;

	if (trouble())
		return NULL;
	sh = calloc(1, sizeof(*sh));
	world->shared++;
	return &sh->core;
}

void dedup_stable_free(struct dedup_stable *node)
{
	free(container_of(node, struct wshared, core));
	world->shared--;
}

void dedup_item_free(struct dedup_item *item, bool again)
{
	struct wpage *p = page_of(item);

	p->late |= again;
	expect(item->place == DEDUP_NOWHERE, "freed in a tree");
	p->item = NULL;
	free(item);
	world->items--;
}

/* What mem refuses, and now and then what it could refuse */
static int refusal(struct wpage *p)
{
	static const int err[] = { -EBUSY, -EAGAIN, -EXDEV, -ESTALE };

	if (p->state != W_PRIVATE || p->block)
		return -EAGAIN;
	if (p->busy)
		return -EBUSY;
	return trouble() ? err[world_random(world, 4)] : 0;
}

int dedup_share(struct dedup_item *item, void *page, struct dedup_stable *node)
{
	struct wshared *sh = container_of(node, struct wshared, core);
	struct wpage *p = page_of(item);
	int err = refusal(p);

	if (err)
		return err;
	sh->data = p->data;
	sh->users = 1;
	p->sh = sh;
	p->data = NULL;
	p->state = W_SHARED;
	p->dirty = true;
	return 0;
}

int dedup_merge(struct dedup_item *item, void *page, struct dedup_stable *node, u64 *bytes)
{
	struct wshared *sh = container_of(node, struct wshared, core);
	struct wpage *p = page_of(item);
	int err = refusal(p);

	if (err)
		return err;
	if (!sh->users)
		return -ENOENT;
	*bytes += DEDUP_PAGE;
	if (memcmp(p->data, sh->data, DEDUP_PAGE) || trouble())
		return -EILSEQ;
	frame_free(p->data);
	sh->users++;
	p->sh = sh;
	p->data = NULL;
	p->state = W_SHARED;
	p->dirty = true;
	return 0;
}

int dedup_drop_zero(struct dedup_item *item, void *page, u64 *bytes)
{
	struct wpage *p = page_of(item);
	int err = refusal(p);

	if (err)
		return err;
	*bytes += DEDUP_PAGE;
	if (memcmp(p->data, zeros, DEDUP_PAGE))
		return -EILSEQ;
	frame_free(p->data);
	p->data = NULL;
	p->state = W_ZERO;
	p->dirty = true;
	return 0;
}

static void unshare(struct wpage *p)
{
	struct wshared *sh = p->sh;

	p->data = frame_alloc(sh->data);
	p->sh = NULL;
	p->state = W_PRIVATE;
	p->dirty = true;
	if (--sh->users)
		return;
	frame_free(sh->data);
	sh->next_gone = gone;
	gone = sh;
}

void dedup_unshare(struct dedup_item *item)
{
	if (!trouble())
		unshare(page_of(item));
}

/* -- guests ------------------------------------------------------------------------- */

const u8 *world_data(const struct world *w, u32 g, u32 i)
{
	const struct wpage *p = &w->guest[g].page[i];

	switch (p->state) {
	case W_PRIVATE:
		return p->data;
	case W_SHARED:
		return p->sh->data;
	case W_ZERO:
		return zeros;
	}
	return NULL;
}

/* The page, private, about to be written */
static u8 *writable(struct world *w, struct wpage *p)
{
	if (p->state == W_SHARED) {
		unshare(p);
		w->copies++;
	} else if (p->state != W_PRIVATE) {
		w->copies += p->state == W_ZERO;
		p->data = frame_alloc(zeros);
		p->state = W_PRIVATE;
	}
	p->dirty = true;
	return p->data;
}

static void written(struct wpage *p)
{
	p->sum = XXH64(p->data, DEDUP_PAGE, 1);
}

void world_fill(struct world *w, u32 g, u32 i, u64 content)
{
	struct wpage *p = &w->guest[g].page[i];
	u64 *data = (u64 *)writable(w, p);
	u64 x = content * 0x9e3779b97f4a7c15ULL + 1;
	u32 j;

	for (j = 0; j < DEDUP_PAGE / 8; j++) {
		x ^= x >> 12;
		x ^= x << 25;
		x ^= x >> 27;
		data[j] = x;
	}
	written(p);
}

void world_poke(struct world *w, u32 g, u32 i, u32 at, u64 value)
{
	struct wpage *p = &w->guest[g].page[i];

	memcpy(writable(w, p) + at / 8 * 8, &value, 8);
	written(p);
}

void world_zero(struct world *w, u32 g, u32 i)
{
	struct wpage *p = &w->guest[g].page[i];

	memset(writable(w, p), 0, DEDUP_PAGE);
	written(p);
}

void world_copy(struct world *w, u32 from, u32 i, u32 to, u32 j)
{
	struct wpage *p = &w->guest[to].page[j];
	const u8 *data = world_data(w, from, i);

	if (!data)
		data = zeros;
	memmove(writable(w, p), data, DEDUP_PAGE);
	written(p);
}

void world_punch(struct world *w, u32 g, u32 i)
{
	struct wpage *p = &w->guest[g].page[i];

	if (p->state == W_SHARED)
		unshare(p);
	if (p->state == W_PRIVATE)
		frame_free(p->data);
	p->data = NULL;
	p->state = W_ABSENT;
	p->dirty = true;
}

void world_init(struct world *w, enum dedup_algorithm algorithm, u32 classes, u32 guests, u32 pages,
		u64 seed)
{
	u32 g;

	memset(w, 0, sizeof(*w));
	w->rng = seed * 2 + 1;
	w->nr = guests;
	w->guest = calloc(guests, sizeof(*w->guest));
	for (g = 0; g < guests; g++) {
		w->guest[g].n = pages;
		w->guest[g].page = calloc(pages, sizeof(struct wpage));
	}
	world = w;
	expect_eq(dedup_core_init(&w->core, algorithm, classes, seed), 0);
	w->core.end = pages;
}

/* -- the scanner ------------------------------------------------------------------------ */

static void reap(struct world *w)
{
	struct wshared *sh;

	while ((sh = gone)) {
		gone = sh->next_gone;
		dedup_stable_gone(&w->core, &sh->core);
		dedup_stable_free(&sh->core);
	}
}

static void drop(struct world *w, struct wpage *p)
{
	if (!p->item)
		return;
	dedup_forget(&w->core, p->item);
	dedup_item_free(p->item, false);
}

static struct dedup_item *item_get(struct world *w, u32 g, u32 i)
{
	struct wpage *p = &w->guest[g].page[i];

	if (!p->item) {
		p->item = calloc(1, sizeof(*p->item));
		p->item->owner = &w->guest[g];
		p->item->index = i;
		w->items++;
	}
	return p->item;
}

void world_visit(struct world *w, u32 g, u32 i)
{
	struct wpage *p = &w->guest[g].page[i];
	struct dedup_stats *s = &w->core.stats;
	bool dirty = p->dirty || p->busy;
	int r;

	reap(w);
	s->scanned++;
	p->dirty = false;
	if (p->state != W_PRIVATE || p->block) {
		drop(w, p);
		p->late = false;
		return;
	}
	if (w->core.algorithm != DEDUP_EMYS) {
		r = dedup_visit(&w->core, item_get(w, g, i), p->data, p, dirty);
		expect(r >= 0 || r == -ENOMEM, "visit: %d", r);
		return;
	}
	if (dirty && p->late) {
		s->volatile_++;
		drop(w, p);
	} else if (dirty) {
		r = dedup_glance(&w->core, item_get(w, g, i), p->data, p);
		expect(r >= 0 || r == -ENOMEM, "glance: %d", r);
		p->late |= r != DEDUP_GONE;
	} else if (p->late) {
		p->late = false;
		r = dedup_settle(&w->core, item_get(w, g, i), p->data, p);
		expect(r >= 0 || r == -ENOMEM, "settle: %d", r);
		p->late |= r == DEDUP_LATER || r < 0;
	} else {
		s->skipped++;
	}
}

void world_pass_begin(struct world *w)
{
	reap(w);
	dedup_pass_begin(&w->core);
}

void world_pass_end(struct world *w)
{
	reap(w);
	dedup_pass_end(&w->core);
	w->core.stats.passes++;
}

void world_pass(struct world *w, void (*meanwhile)(struct world *w, u32 g, u32 i))
{
	u32 g, i;

	world_pass_begin(w);
	for (g = 0; g < w->nr; g++) {
		for (i = 0; i < w->guest[g].n; i++) {
			world_visit(w, g, i);
			if (meanwhile)
				meanwhile(w, g, i);
		}
	}
	world_pass_end(w);
}

void world_forget(struct world *w)
{
	u32 g, i;

	for (g = 0; g < w->nr; g++) {
		for (i = 0; i < w->guest[g].n; i++) {
			drop(w, &w->guest[g].page[i]);
			w->guest[g].page[i].late = true;
		}
	}
}

/* -- checks -------------------------------------------------------------------------------- */

/* Nodes; the black height must be the same on each way. */
static long tree_check(struct rb_node *node, struct rb_node *up, int *height)
{
	int left, right;
	long n;

	*height = 1;
	if (!node)
		return 0;
	expect(node->rb_parent == up, "a child of another");
	expect(!node->rb_red || (up && !up->rb_red), "two red nodes");
	n = tree_check(node->rb_left, node, &left) + tree_check(node->rb_right, node, &right);
	expect_eq(left, right);
	*height = left + !node->rb_red;
	return n + 1;
}

static long trees_check(struct dedup_core *core)
{
	long unstable = 0;
	int height;
	u32 i;

	for (i = 0; i < core->classes; i++) {
		long n = tree_check(core->trees[i].unstable.rb_node, NULL, &height);

		expect_eq(n, core->trees[i].nr_unstable);
		unstable += n;
		n = tree_check(core->trees[i].stable.rb_node, NULL, &height);
		expect(n <= core->trees[i].nr_stable, "%ld of %u", n, core->trees[i].nr_stable);
	}
	return unstable;
}

void world_check(struct world *w)
{
	struct dedup_stats *s = &w->core.stats;
	long frames = 0, users = 0;
	u32 g, i;

	reap(w);
	for (g = 0; g < w->nr; g++) {
		for (i = 0; i < w->guest[g].n; i++) {
			const struct wpage *p = &w->guest[g].page[i];
			const u8 *data = world_data(w, g, i);

			frames += p->state == W_PRIVATE;
			users += p->state == W_SHARED;
			if (data)
				expect_eq(XXH64(data, DEDUP_PAGE, 1), p->sum);
		}
	}
	expect_eq(trees_check(&w->core), w->core.nr_unstable);
	dedup_core_census(&w->core);
	expect_eq(s->sharing, users);
	expect_eq(w->frames, frames + w->shared);
	expect(s->stable == (u64)w->shared, "%llu shared frames, not %ld", s->stable, w->shared);
	expect(s->futile <= s->compared, "more futile comparisons than there were");
	expect(s->merged <= 2 * (s->compared - s->futile), "merged without a comparison");
}

long world_saved(const struct world *w)
{
	long used = 0;
	u32 g, i;

	for (g = 0; g < w->nr; g++)
		for (i = 0; i < w->guest[g].n; i++)
			used += w->guest[g].page[i].state != W_ABSENT;
	return used - w->frames;
}

void world_free(struct world *w)
{
	u32 g, i;

	world_forget(w);
	for (g = 0; g < w->nr; g++) {
		for (i = 0; i < w->guest[g].n; i++)
			world_punch(w, g, i);
		free(w->guest[g].page);
	}
	reap(w);
	free(w->guest);
	dedup_core_destroy(&w->core);
	expect_eq(w->frames, 0);
	expect_eq(w->shared, 0);
	expect_eq(w->items, 0);
}
