// SPDX-License-Identifier: GPL-2.0-only
/* Harvest: which pages of an object were written, or used, since the last time */

/*
 * DOC: what a harvest sees
 *
 * Writes leave their trace in one of three places:
 *
 *  - the guest's, in the leaf that maps the page. When a leaf is zapped its flag moves
 *    to the object (keep_dirty()), so the leaves are read first and the marks after;
 *  - the kernel's and changes of frame or state, in OBJECT_DIRTY;
 *  - the VMM's, in OBJECT_USER: its PTE was made writable since. Collecting takes the
 *    PTE away, so the next write marks again. Who took a reference (get_user_pages()
 *    for writing) needed such a PTE, so only marked pages can be held; a page that is still
 *    held then keeps its mark, and is dirty in the next harvest too, when the holder may
 *    have let go.
 *
 * The flush comes at the end. A page is clean when its flag was clear before; then no TLB has
 * a translation that would write without setting the flag.
 */

#include <linux/bitmap.h>
#include <linux/mm.h>
#include <linux/pagemap.h>

#include "private.h"

#define CHUNK	(2 * MEM_BLOCK_PAGES)	/* pages in one hold of the lock */

struct harvest {
	struct mem_object *obj;
	pgoff_t first, last;		/* of the whole call; bit 0 is @first */
	unsigned long *dirty, *young;
	struct mem_slot *slot;
};

static void set_bits(struct harvest *h, unsigned long *map, pgoff_t first, pgoff_t last)
{
	if (map)
		bitmap_set(map, first - h->first, last - first + 1);
}

/* mmu_lock is held. */
static void harvest_leaf(void *ctx, gfn_t gfn, int level, u64 bits)
{
	struct harvest *h = ctx;
	pgoff_t first = h->slot->first + (gfn - h->slot->base);
	pgoff_t last = first + ept_level_gfns(level) - 1;
	pgoff_t from, to;

	if (!mem_slot_clip(h->slot, &first, &last))
		return;
	from = max(first, h->first);
	to = min(last, h->last);
	if (from > to)
		return;
	if (bits & EPT_A)
		set_bits(h, h->young, from, to);
	if (!(bits & EPT_D) || !h->dirty)
		return;
	set_bits(h, h->dirty, from, to);
	/* The flag that was cleared spoke for these as well */
	if (first < from)
		object_mark_dirty(h->obj, first, from - 1);
	if (last > to)
		object_mark_dirty(h->obj, to + 1, last);
}

static void harvest_slot(struct harvest *h, pgoff_t first, pgoff_t last)
{
	u64 bits = (h->dirty ? EPT_D : 0) | (h->young ? EPT_A : 0);

	if (!mem_slot_clip(h->slot, &first, &last))
		return;
	mem_harvest_leaves(h->slot->vm, mem_slot_gfn(h->slot, first),
			   mem_slot_gfn(h->slot, last) + 1, bits, bits, harvest_leaf, h);
}

static void harvest_marks(struct harvest *h, pgoff_t first, pgoff_t last)
{
	XA_STATE(xas, &h->obj->pages, first);
	void *entry;

	xas_lock(&xas);
	xas_for_each_marked(&xas, entry, last, OBJECT_DIRTY) {
		set_bits(h, h->dirty, xas.xa_index, xas.xa_index);
		xas_clear_mark(&xas, OBJECT_DIRTY);
	}
	xas_unlock(&xas);
}

/* The PTEs of a run of pages that users may write go. */
static void harvest_user_run(struct harvest *h, pgoff_t first, pgoff_t last)
{
	struct mem_object *obj = h->obj;
	pgoff_t index;

	set_bits(h, h->dirty, first, last);
	for (index = first; index <= last; index++) {
		void *entry = xa_load(&obj->pages, index);

		xa_clear_mark(&obj->pages, index, OBJECT_USER);
		if (entry_state(entry) == MEM_PRIVATE)
			folio_wait_locked(page_folio(entry_page(entry)));
	}
	unmap_mapping_pages(obj->inode->i_mapping, first, last - first + 1, false);
	for (index = first; index <= last; index++) {
		void *entry = xa_load(&obj->pages, index);

		if (entry_state(entry) == MEM_PRIVATE && page_count(entry_page(entry)) != 1)
			xa_set_mark(&obj->pages, index, OBJECT_USER);
	}
}

static void harvest_user(struct harvest *h, pgoff_t first, pgoff_t last)
{
	unsigned long index = first;
	pgoff_t end;

	while (xa_find(&h->obj->pages, &index, last, OBJECT_USER)) {
		for (end = index; end < last; end++)
			if (!xa_get_mark(&h->obj->pages, end + 1, OBJECT_USER))
				break;
		harvest_user_run(h, index, end);
		if (end == last)
			break;
		index = end + 1;
	}
}

static int harvest_chunk(struct harvest *h, pgoff_t first, pgoff_t last)
{
	struct mem_object *obj = h->obj;

	down_write(&obj->lock);
	if (obj->dead) {
		up_write(&obj->lock);
		return -ESTALE;
	}
	list_for_each_entry(h->slot, &obj->slots, link)
		harvest_slot(h, first, last);
	if (h->dirty) {
		harvest_marks(h, first, last);
		harvest_user(h, first, last);
	}
	up_write(&obj->lock);
	return 0;
}

int mem_harvest(struct mem_object *obj, pgoff_t first, unsigned long n, unsigned long *dirty,
		unsigned long *young)
{
	struct harvest h = { .obj = obj, .first = first, .dirty = dirty, .young = young };
	pgoff_t from, to;
	int err = 0;

	if (!n || (!dirty && !young))
		return 0;
	h.last = first + n - 1;
	for (from = first; !err; from = to + 1) {
		to = min(h.last, round_down(from, CHUNK) + CHUNK - 1);
		err = harvest_chunk(&h, from, to);
		if (to == h.last)
			break;
		cond_resched();
	}
	if (!dirty)
		return err;
	down_read(&obj->lock);
	list_for_each_entry(h.slot, &obj->slots, link)
		mem_flush(h.slot->vm);
	up_read(&obj->lock);
	return err;
}
