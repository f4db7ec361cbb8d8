// SPDX-License-Identifier: GPL-2.0-only
/* The trees of a domain, and what each algorithm does with a page; pure */

/*
 * DOC: deduplication
 *
 * ksm, and the cmd algorithms within each class, do what KSM does. A page that comes by is
 * looked up in the stable tree, of shared pages, by content. Not found there and its
 * checksum changed since the last pass, it is volatile, and that is all. Else it is looked
 * up in the unstable tree, of candidates, which nothing protects from being written, so
 * that this tree may be out of order and find too little; it is thrown away with each pass.
 * Found, both are shared by a new stable page; not found, the page is put in. A stable page
 * has a bounded number of users; equal ones form a ring.
 *
 * emys orders both trees by hash, and is told which pages were written. A written page leaves the
 * unstable tree, is hashed, once, and looked up in the stable one; pages that are written
 * pass after pass are not even that. What has not been written for a pass more is put into
 * the unstable tree by the hash that is known. So the order of the unstable tree holds, it
 * stays from pass to pass, a step costs a comparison of two numbers, and contents are
 * compared when hashes are equal. Balanced trees rather than a hash table: 20 steps cost
 * little beside the hash of a page, nothing has to grow at a bad moment, and no choice of
 * contents makes them slow.
 *
 * Which pages may be merged is not decided here: mem_merge() takes write access away, compares
 * again and refuses what others hold. A wrong tree, hash or race costs a merge, never a byte.
 */

#include <linux/errno.h>
#include <linux/limits.h>
#include <linux/minmax.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "core.h"

#define item_of(p)	rb_entry(p, struct dedup_item, node)
#define stable_of(p)	rb_entry(p, struct dedup_stable, node)

static bool by_hash(const struct dedup_core *core)
{
	return core->algorithm == DEDUP_EMYS;
}

static struct dedup_trees *trees_of(struct dedup_core *core, u16 class)
{
	return &core->trees[class];
}

static int compare(struct dedup_core *core, const void *a, const void *b)
{
	core->stats.compared++;
	core->stats.futile++;	/* until it has led to a merge */
	return dedup_compare(a, b, &core->stats.bytes);
}

static int compare_hash(struct dedup_core *core, u64 a, u64 b)
{
	core->stats.hash_steps++;
	return a < b ? -1 : a > b;
}

/* -- the stable trees ------------------------------------------ */

static void stable_unlink(struct dedup_core *core, struct dedup_stable *node)
{
	struct dedup_trees *t = trees_of(core, node->class);
	struct dedup_stable *next;

	if (!node->linked)
		return;
	if (node->head && !list_empty(&node->equals)) {
		next = list_first_entry(&node->equals, struct dedup_stable, equals);
		rb_replace_node(&node->node, &next->node, &t->stable);
		next->head = true;
	} else if (node->head) {
		rb_erase(&node->node, &t->stable);
	}
	node->head = false;
	node->linked = false;
	list_del_init(&node->equals);
	t->nr_stable--;
}

/*
 * Walk down to what equals @data (or @hash); NULL: nothing, and *@link, *@parent are the place
 * for it. Shared pages that are gone leave the tree on the way.
 */
static struct dedup_stable *stable_walk(struct dedup_core *core, u16 class, u64 hash,
					const void *data, struct rb_node ***link,
					struct rb_node **parent)
{
	struct dedup_trees *t = trees_of(core, class);
	struct dedup_stable *node;
	const void *other;
	void *page;
	int order;

again:
	*link = &t->stable.rb_node;
	*parent = NULL;
	while (**link) {
		node = stable_of(**link);
		if (by_hash(core)) {
			order = compare_hash(core, hash, node->hash);
		} else {
			other = dedup_stable_hold(node, &page);
			if (!other) {
				stable_unlink(core, node);
				goto again;
			}
			order = compare(core, data, other);
			dedup_release(page);
		}
		if (!order)
			return node;
		*parent = **link;
		*link = order < 0 ? &(*parent)->rb_left : &(*parent)->rb_right;
	}
	return NULL;
}

static void stable_insert(struct dedup_core *core, struct dedup_stable *node, const void *data)
{
	struct dedup_stable *equal;
	struct rb_node **link, *parent;

	if (by_hash(core) && !node->hashed) {
		node->hash = dedup_hash(data, DEDUP_PAGE, core->seed, &core->stats.bytes);
		node->hashed = true;
	}
	node->class = dedup_class(core, node->key);
	equal = stable_walk(core, node->class, node->hash, data, &link, &parent);
	if (equal) {
		list_add(&node->equals, &equal->equals);
	} else {
		rb_link_node(&node->node, parent, link);
		rb_insert_color(&node->node, &trees_of(core, node->class)->stable);
		node->head = true;
	}
	node->linked = true;
	trees_of(core, node->class)->nr_stable++;
	if (list_empty(&node->all)) {
		list_add_tail(&node->all, &core->shared);
		core->nr_stable++;
	}
}

/* Of those equal to @head, one that may get another user, or NULL. */
static struct dedup_stable *stable_room(struct dedup_core *core, struct dedup_stable *head)
{
	struct dedup_stable *node = head;

	if (by_hash(core))
		return head;
	do {
		if (dedup_stable_users(node) < DEDUP_SHARING)
			return node;
		node = list_next_entry(node, equals);
	} while (node != head);
	return NULL;
}

void dedup_stable_gone(struct dedup_core *core, struct dedup_stable *node)
{
	stable_unlink(core, node);
	if (!list_empty(&node->all)) {
		list_del_init(&node->all);
		core->nr_stable--;
	}
}

/* -- merging ------------------------------------------ */

/* What a failed call of mem's means for the item, which it frees when the page is no candidate. */
static int failed(struct dedup_core *core, struct dedup_item *item, int err)
{
	switch (err) {
	case -EBUSY:
		core->stats.refused++;
		return DEDUP_LATER;
	case -ENOENT:
	case -EILSEQ:
		core->stats.raced++;
		return DEDUP_LATER;
	case -EAGAIN:
	case -ESTALE:
	case -EXDEV:
		core->stats.raced++;
		dedup_forget(core, item);
		dedup_item_free(item, true);
		return DEDUP_GONE;
	default:
		return err;
	}
}

int dedup_join(struct dedup_core *core, struct dedup_item *item, void *page,
	       struct dedup_stable *node)
{
	u64 bytes = 0;
	int err;

	err = dedup_merge(item, page, node, &bytes);
	if (bytes) {
		core->stats.compared++;
		core->stats.bytes += bytes;
		core->stats.futile += !!err;
	}
	if (err)
		return err;
	core->stats.merged++;
	dedup_forget(core, item);
	dedup_item_free(item, false);
	return 0;
}

/*
 * @item and @other held the same a moment ago; share both. Returns a verdict on @item; @other is
 * freed.
 */
static int share_pair(struct dedup_core *core, struct dedup_item *item, void *page,
		      struct dedup_item *other, const void *odata, void *opage, const u16 *key)
{
	struct dedup_stable *node = dedup_stable_alloc(core);
	int err;

	if (!node)
		return -ENOMEM;
	INIT_LIST_HEAD(&node->equals);
	INIT_LIST_HEAD(&node->all);
	memcpy(node->key, key, sizeof(node->key));
	dedup_key_settle(core, item, node->key);

	dedup_forget(core, other);
	err = dedup_share(other, opage, node);
	if (err) {
		dedup_stable_free(node);
		if (failed(core, other, err) != DEDUP_GONE)
			dedup_item_free(other, true);
		return DEDUP_LATER;
	}
	err = dedup_join(core, item, page, node);
	if (err) {
		/* A shared page with one user saves nothing, and would cost a copy */
		dedup_unshare(other);
		if (dedup_stable_users(node))
			stable_insert(core, node, odata);
		dedup_item_free(other, true);
		return failed(core, item, err);
	}
	core->stats.merged++;
	core->stats.futile--;
	stable_insert(core, node, odata);
	dedup_item_free(other, false);
	return DEDUP_GONE;
}

/* -- the unstable trees ------------------------------------------ */

static bool in_unstable(const struct dedup_core *core, const struct dedup_item *item)
{
	return item->place == DEDUP_UNSTABLE && item->seq == core->seq;
}

void dedup_forget(struct dedup_core *core, struct dedup_item *item)
{
	if (in_unstable(core, item)) {
		rb_erase(&item->node, &trees_of(core, item->class)->unstable);
		trees_of(core, item->class)->nr_unstable--;
		core->nr_unstable--;
	} else if (item->place == DEDUP_PROBED) {
		rb_erase(&item->node, &core->probed);
	}
	item->place = DEDUP_NOWHERE;
}

static void unstable_link(struct dedup_core *core, struct dedup_item *item, struct rb_node **link,
			  struct rb_node *parent)
{
	rb_link_node(&item->node, parent, link);
	rb_insert_color(&item->node, &trees_of(core, item->class)->unstable);
	trees_of(core, item->class)->nr_unstable++;
	core->nr_unstable++;
	item->place = DEDUP_UNSTABLE;
	item->seq = core->seq;
}

static struct dedup_item *unstable_by_hash(struct dedup_core *core, u64 hash, struct rb_root *root,
					   struct rb_node ***link, struct rb_node **parent)
{
	struct dedup_item *other;
	int order;

	*link = &root->rb_node;
	*parent = NULL;
	while (**link) {
		other = item_of(**link);
		order = compare_hash(core, hash, other->hash);
		if (!order)
			return other;
		*parent = **link;
		*link = order < 0 ? &(*parent)->rb_left : &(*parent)->rb_right;
	}
	return NULL;
}

/* The equal one is returned held. */
static struct dedup_item *unstable_by_content(struct dedup_core *core, u16 class, const void *data,
					      struct rb_node ***link, struct rb_node **parent,
					      const void **odata, void **opage)
{
	struct dedup_trees *t = trees_of(core, class);
	struct dedup_item *other;
	int order;

again:
	*link = &t->unstable.rb_node;
	*parent = NULL;
	while (**link) {
		other = item_of(**link);
		*odata = dedup_hold(other, opage);
		if (!*odata) {
			dedup_forget(core, other);
			dedup_item_free(other, true);
			goto again;
		}
		order = compare(core, data, *odata);
		if (!order)
			return other;
		dedup_release(*opage);
		*parent = **link;
		*link = order < 0 ? &(*parent)->rb_left : &(*parent)->rb_right;
	}
	return NULL;
}

/* -- ksm, cmd-* ------------------------------------------ */

static int visit_stable(struct dedup_core *core, struct dedup_item *item, const void *data,
			void *page)
{
	struct rb_node **link, *parent;
	struct dedup_stable *node;
	int err;

	node = stable_walk(core, item->class, 0, data, &link, &parent);
	if (node)
		node = stable_room(core, node);
	if (!node)
		return -ENOENT;
	err = dedup_join(core, item, page, node);
	if (!err)
		core->stats.futile--;
	return err;
}

int dedup_visit(struct dedup_core *core, struct dedup_item *item, const void *data, void *page,
		bool dirty)
{
	u16 key[DEDUP_SUBPAGES] = {};
	struct rb_node **link, *parent;
	struct dedup_item *other;
	const void *odata;
	void *opage;
	bool changed;
	u64 sum;
	int r;

	dedup_forget(core, item);
	changed = dedup_classify(core, item, data, dirty, key);
	r = visit_stable(core, item, data, page);
	if (!r)
		return DEDUP_GONE;
	if (r != -ENOENT) {
		item->seen = true;
		return failed(core, item, r);
	}

	if (core->algorithm != DEDUP_CMD_SUBPAGE) {
		sum = dedup_hash(data, DEDUP_PAGE, core->seed, &core->stats.bytes);
		changed = sum != item->hash;
		item->hash = sum;
	}
	changed |= !item->seen;
	item->seen = true;
	if (changed) {
		core->stats.volatile_++;
		return DEDUP_KEPT;
	}

	other = unstable_by_content(core, item->class, data, &link, &parent, &odata, &opage);
	if (!other) {
		unstable_link(core, item, link, parent);
		return DEDUP_KEPT;
	}
	r = share_pair(core, item, page, other, odata, opage, key);
	dedup_release(opage);
	return r;
}

/* -- emys ------------------------------------------ */

static int drop_zero(struct dedup_core *core, struct dedup_item *item, void *page)
{
	u64 bytes = 0;
	int err;

	err = dedup_drop_zero(item, page, &bytes);
	core->stats.bytes += bytes;
	if (err)
		return failed(core, item, err);
	core->stats.zeroed++;
	dedup_item_free(item, false);
	return DEDUP_GONE;
}

/* @other's hash was right when it was put in; its content may have changed since. */
static int settle_pair(struct dedup_core *core, struct dedup_item *item, const void *data,
		       void *page, struct dedup_item *other)
{
	static const u16 key[DEDUP_SUBPAGES];
	struct rb_root *root = &trees_of(core, 0)->unstable;
	const void *odata;
	void *opage;
	int r;

	odata = dedup_hold(other, &opage);
	if (odata && !compare(core, data, odata)) {
		r = share_pair(core, item, page, other, odata, opage, key);
		dedup_release(opage);
		return r;
	}
	/* Written since. Its place is the new one's. */
	rb_replace_node(&other->node, &item->node, root);
	other->place = DEDUP_NOWHERE;
	item->place = DEDUP_UNSTABLE;
	item->seq = core->seq;
	if (odata)
		dedup_release(opage);
	dedup_item_free(other, true);
	return DEDUP_KEPT;
}

/* Hash the page and look among the shared ones. -ENOENT: not there. */
static int settle_stable(struct dedup_core *core, struct dedup_item *item, const void *data,
			 void *page)
{
	struct rb_node **link, *parent;
	struct dedup_stable *node;
	int err;

	if (!item->seen) {
		if (dedup_is_zero(data, &core->stats.bytes))
			return drop_zero(core, item, page);
		item->hash = dedup_hash(data, DEDUP_PAGE, core->seed, &core->stats.bytes);
		item->seen = true;
	}
	item->class = 0;
	while ((node = stable_walk(core, 0, item->hash, data, &link, &parent))) {
		err = dedup_join(core, item, page, node);
		if (!err)
			return DEDUP_GONE;
		if (err != -ENOENT) {
			item->seen = false;
			return failed(core, item, err);
		}
		stable_unlink(core, node);
	}
	return -ENOENT;
}

int dedup_glance(struct dedup_core *core, struct dedup_item *item, const void *data, void *page)
{
	int r;

	dedup_forget(core, item);
	item->seen = false;
	r = settle_stable(core, item, data, page);
	return r == -ENOENT ? DEDUP_LATER : r;
}

int dedup_settle(struct dedup_core *core, struct dedup_item *item, const void *data, void *page)
{
	struct rb_node **link, *parent;
	struct dedup_item *other;
	int r;

	dedup_forget(core, item);
	r = settle_stable(core, item, data, page);
	if (r != -ENOENT)
		return r;
	other = unstable_by_hash(core, item->hash, &trees_of(core, 0)->unstable, &link, &parent);
	if (other)
		return settle_pair(core, item, data, page, other);
	unstable_link(core, item, link, parent);
	return DEDUP_KEPT;
}

int dedup_pair(struct dedup_core *core, struct dedup_item *item, const void *data, void *page,
	       struct dedup_item *other)
{
	u16 key[DEDUP_SUBPAGES] = {};
	const void *odata;
	void *opage;
	int r = DEDUP_KEPT;

	odata = dedup_hold(other, &opage);
	if (!odata)
		return DEDUP_KEPT;
	if (!compare(core, data, odata)) {
		dedup_forget(core, item);
		dedup_classify(core, item, data, false, key);
		r = share_pair(core, item, page, other, odata, opage, key);
	}
	dedup_release(opage);
	return r;
}

/* -- probing ------------------------------------------ */

/* Is there a shared page or a candidate of this content? */
static bool probe_trees(struct dedup_core *core, struct dedup_item *item, const void *data,
			u64 hash)
{
	struct rb_node **link, *parent;
	struct dedup_item *other;
	const void *odata;
	void *opage;
	bool same;

	if (stable_walk(core, item->class, hash, data, &link, &parent))
		return true;
	if (!by_hash(core)) {
		other = unstable_by_content(core, item->class, data, &link, &parent, &odata,
					    &opage);
		if (other)
			dedup_release(opage);
		return other;
	}
	other = unstable_by_hash(core, hash, &trees_of(core, 0)->unstable, &link, &parent);
	if (!other)
		return false;
	odata = dedup_hold(other, &opage);
	if (!odata)
		return false;
	same = !compare(core, data, odata);
	dedup_release(opage);
	return same;
}

/* Is there another probed page of this content? Those that have changed leave the tree. */
static bool probe_others(struct dedup_core *core, const void *data, u64 hash)
{
	struct rb_node **link, *parent;
	struct dedup_item *other;
	const void *odata;
	void *opage;
	bool same;

	while ((other = unstable_by_hash(core, hash, &core->probed, &link, &parent))) {
		odata = dedup_probed_hold(other, &opage);
		same = odata && !compare(core, data, odata);
		if (odata)
			dedup_release(opage);
		if (same)
			return true;
		dedup_forget(core, other);
		dedup_item_free(other, true);
		/* A guest may have had thousands alike, and changed them all */
		cond_resched();
	}
	return false;
}

/* Behind its equals, which stay: each of them finds the others, whoever was probed first. */
static void probed_link(struct dedup_core *core, struct dedup_item *item, u64 hash)
{
	struct rb_node **link = &core->probed.rb_node, *parent = NULL;

	while (*link) {
		parent = *link;
		link = compare_hash(core, hash, item_of(parent)->hash) < 0 ? &parent->rb_left :
		       &parent->rb_right;
	}
	item->hash = hash;
	rb_link_node(&item->node, parent, link);
	rb_insert_color(&item->node, &core->probed);
	item->place = DEDUP_PROBED;
}

int dedup_probe(struct dedup_core *core, struct dedup_item *item, const void *data)
{
	u16 key[DEDUP_SUBPAGES] = {};
	u64 hash;
	int found;

	if (dedup_is_zero(data, &core->stats.bytes))
		return 1;
	hash = dedup_hash(data, DEDUP_PAGE, core->seed, &core->stats.bytes);
	/* A candidate in the tree has found nobody yet */
	if (!in_unstable(core, item)) {
		dedup_forget(core, item);
		dedup_classify(core, item, data, false, key);
		if (probe_trees(core, item, data, hash))
			return 1;
	}

	found = probe_others(core, data, hash);
	if (item->place == DEDUP_NOWHERE)
		probed_link(core, item, hash);
	return found;
}

/* -- passes ------------------------------------------ */

void dedup_pass_begin(struct dedup_core *core)
{
	u32 i;

	if (by_hash(core))
		return;
	for (i = 0; i < core->classes; i++) {
		core->trees[i].unstable = RB_ROOT;
		core->trees[i].nr_unstable = 0;
	}
	core->nr_unstable = 0;
	core->seq = (core->seq + 1) & 0x7f;
}

static void stable_insert_again(struct dedup_core *core, struct dedup_stable *node)
{
	const void *data;
	void *page;

	data = dedup_stable_hold(node, &page);
	if (!data)
		return;
	if (core->algorithm == DEDUP_CMD_SUBPAGE) {
		struct dedup_item item = {};

		dedup_classify(core, &item, data, false, node->key);
	}
	stable_insert(core, node, data);
	dedup_release(page);
}

void dedup_pass_end(struct dedup_core *core)
{
	struct dedup_stable *node;
	bool moved = false;
	u32 i;

	for (i = 0; i < core->cuts; i++)
		moved |= dedup_recut(&core->cut[i]);
	if (!moved)
		return;
	list_for_each_entry(node, &core->shared, all) {
		u16 class = dedup_class(core, node->key);
		const void *data;
		void *page;

		if (class == node->class)
			continue;
		stable_unlink(core, node);
		core->stats.reclassified++;
		data = dedup_stable_hold(node, &page);
		if (data) {
			stable_insert(core, node, data);
			dedup_release(page);
		}
		cond_resched();
	}
}

/* -- the core ------------------------------------------ */

static const struct {
	u8 cuts;
	u16 keys;
	u16 classes;
} shape[DEDUP_ALGORITHMS] = {
	[DEDUP_CMD_ADDRESS] = { .cuts = 1, .keys = 256, .classes = 8 },
	[DEDUP_CMD_COUNT] = { .cuts = 1, .keys = 9, .classes = 8 },
	[DEDUP_CMD_SUBPAGE] = { .cuts = DEDUP_SUBPAGES, .keys = 256, .classes = DEDUP_CLASSES },
};

/* Trees and cuts of @algorithm in @core, which has none; the shared pages are left alone. */
static int core_shape(struct dedup_core *core, enum dedup_algorithm algorithm, u32 classes)
{
	u32 cuts = shape[algorithm].cuts;
	u32 levels = 1, i;

	if (!classes)
		classes = shape[algorithm].classes;
	if (cuts == 1)
		levels = classes;
	else if (cuts)
		while ((levels + 1) * (levels + 1) * (levels + 1) * (levels + 1) <= classes)
			levels++;
	core->classes = 1;
	for (i = 0; i < cuts; i++)
		core->classes *= levels;

	core->trees = kvcalloc(core->classes, sizeof(*core->trees), GFP_KERNEL_ACCOUNT);
	core->cut = kvcalloc(DEDUP_SUBPAGES, sizeof(*core->cut), GFP_KERNEL_ACCOUNT);
	if (!core->trees || !core->cut) {
		kvfree(core->trees);
		kvfree(core->cut);
		return -ENOMEM;
	}
	for (i = 0; i < cuts; i++)
		dedup_cut_init(&core->cut[i], levels, shape[algorithm].keys);
	for (i = 0; i < core->classes; i++) {
		core->trees[i].stable = RB_ROOT;
		core->trees[i].unstable = RB_ROOT;
	}
	core->cuts = cuts;
	core->algorithm = algorithm;
	core->probed = RB_ROOT;
	core->nr_unstable = 0;
	core->seq = (core->seq + 1) & 0x7f;
	return 0;
}

int dedup_core_init(struct dedup_core *core, enum dedup_algorithm algorithm, u32 classes, u64 seed)
{
	memset(core, 0, sizeof(*core));
	INIT_LIST_HEAD(&core->shared);
	core->seed = seed;
	return core_shape(core, algorithm, classes);
}

int dedup_core_switch(struct dedup_core *core, enum dedup_algorithm algorithm, u32 classes)
{
	struct dedup_stable *node;
	struct dedup_core old = *core;
	int err;

	err = core_shape(core, algorithm, classes);
	if (err) {
		core->trees = old.trees;
		core->cut = old.cut;
		core->classes = old.classes;
		return err;
	}
	kvfree(old.trees);
	kvfree(old.cut);
	list_for_each_entry(node, &core->shared, all) {
		node->linked = false;
		node->head = false;
		INIT_LIST_HEAD(&node->equals);
		memset(node->key, 0, sizeof(node->key));
	}
	list_for_each_entry(node, &core->shared, all) {
		stable_insert_again(core, node);
		cond_resched();
	}
	return 0;
}

void dedup_core_destroy(struct dedup_core *core)
{
	kvfree(core->trees);
	kvfree(core->cut);
}

void dedup_core_census(struct dedup_core *core)
{
	struct dedup_stats *s = &core->stats;
	struct dedup_stable *node;
	u32 i, n;

	s->stable = core->nr_stable;
	s->unstable = core->nr_unstable;
	s->sharing = 0;
	list_for_each_entry(node, &core->shared, all)
		s->sharing += dedup_stable_users(node);
	s->class_min = U64_MAX;
	s->class_max = 0;
	for (i = 0; i < core->classes; i++) {
		n = core->trees[i].nr_stable + core->trees[i].nr_unstable;
		s->class_min = min_t(u64, s->class_min, n);
		s->class_max = max_t(u64, s->class_max, n);
	}
}
