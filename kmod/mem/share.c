// SPDX-License-Identifier: GPL-2.0-only
/* Shared pages: share, merge, drop zeros, and copy on write */

/*
 * DOC: replacing a page
 *
 * A page is replaced under its object's write lock, in this order:
 *
 *  1. object_unmap(): no user and no vCPU can reach it any more, and while the lock is
 *     held nobody can again, because every way to map a page takes the lock;
 *  2. count its references: the object's and the caller's, else somebody (DMA,
 *     O_DIRECT, vhost) holds it and may write;
 *  3. compare, then replace the entry.
 *
 * get_user_pages_fast() works without any lock. It takes its reference first and then
 * looks whether the PTE is still the same, if not it gives the reference back. So either it
 * took the reference before the PTE went, and the count in step 2 shows it, or it fails.
 *
 * A shared page holds one reference, not one for each user. It does not change:
 * user PTEs and EPT leaves of it are read-only. Its last user takes it over when it writes, if
 * nobody else has a reference.
 */

#include <linux/mm.h>

#include "private.h"

atomic_long_t mem_shared_frames;

struct page *mem_shared_get(struct mem_shared *sh)
{
	struct page *page;

	spin_lock(&sh->lock);
	page = sh->page;
	if (page)
		get_page(page);
	spin_unlock(&sh->lock);
	return page;
}

/* The page with @sh's reference, when the one user that is left leaves. NULL: others use it. */
static struct page *shared_end(struct mem_shared *sh, bool alone)
{
	struct page *page = NULL;

	spin_lock(&sh->lock);
	if (sh->users == 1 && (!alone || page_count(sh->page) == 1)) {
		page = sh->page;
		sh->page = NULL;
		sh->users = 0;
	} else if (!alone) {
		sh->users--;
	}
	spin_unlock(&sh->lock);
	if (page) {
		atomic_long_dec(&mem_shared_frames);
		sh->gone(sh);
	}
	return page;
}

void shared_unuse(struct mem_shared *sh)
{
	struct page *page = shared_end(sh, false);

	if (page)
		object_free(page);
}

/* One user more, unless there is none. */
static bool shared_use(struct mem_shared *sh)
{
	bool used;

	spin_lock(&sh->lock);
	used = sh->users;
	sh->users += used;
	spin_unlock(&sh->lock);
	return used;
}

/* -- from private ------------------------------------------------------------------ */

/*
 * Make sure that nobody can write to the private page at @index, which must be @page, and
 * which the caller has a reference on. 0: it stays so until the lock is left.
 */
static int take_write(struct mem_object *obj, pgoff_t index, struct page *page)
{
	void *entry = xa_load(&obj->pages, index);

	lockdep_assert_held_write(&obj->lock);
	if (obj->dead)
		return -ESTALE;
	if (entry != entry_make(MEM_PRIVATE, page) || object_in_block(obj, index))
		return -EAGAIN;
	object_unmap(obj, index, index, false);
	if (page_count(page) == 2)
		return 0;
	/* They may write, and mark nothing */
	xa_set_mark(&obj->pages, index, OBJECT_USER);
	return -EBUSY;
}

static int check_domain(struct mem_object *obj, const struct mem_shared *sh)
{
	return sh->domain && obj->domain == sh->domain ? 0 : -EXDEV;
}

int mem_share(struct mem_object *obj, pgoff_t index, struct page *page, struct mem_shared *sh)
{
	int err;

	down_write(&obj->lock);
	err = check_domain(obj, sh) ?: take_write(obj, index, page);
	if (!err) {
		spin_lock_init(&sh->lock);
		sh->users = 1;
		sh->page = page;
		err = object_set(obj, index, sh);
	}
	if (!err)
		atomic_long_inc(&mem_shared_frames);
	up_write(&obj->lock);
	return err;
}

/* memcmp() that counts what it reads. @b NULL: against zeros. */
static bool same(const struct page *a, const struct page *b, u64 *bytes)
{
	const unsigned long *p = page_address(a), *q = b ? page_address(b) : NULL;
	unsigned int i, n = PAGE_SIZE / sizeof(*p);

	for (i = 0; i < n; i++)
		if (p[i] != (q ? q[i] : 0))
			break;
	*bytes += min(i + 1, n) * sizeof(*p);
	return i == n;
}

int mem_merge(struct mem_object *obj, pgoff_t index, struct page *page, struct mem_shared *sh,
	      u64 *bytes)
{
	struct page *other = mem_shared_get(sh);
	int err;

	if (!other)
		return -ENOENT;
	down_write(&obj->lock);
	err = check_domain(obj, sh) ?: take_write(obj, index, page);
	/* The reference keeps @other from being taken over: its content stays */
	if (!err && !same(page, other, bytes))
		err = -EILSEQ;
	if (!err && !shared_use(sh))
		err = -ENOENT;
	if (!err) {
		err = object_set(obj, index, sh);
		if (err)
			shared_unuse(sh);
		else
			object_free(page);
	}
	up_write(&obj->lock);
	put_page(other);
	return err;
}

int mem_drop_zero(struct mem_object *obj, pgoff_t index, struct page *page, u64 *bytes)
{
	int err;

	down_write(&obj->lock);
	err = take_write(obj, index, page);
	if (!err && !same(page, NULL, bytes))
		err = -EILSEQ;
	if (!err)
		err = object_set(obj, index, entry_make(MEM_ZERO, NULL));
	if (!err)
		object_free(page);
	up_write(&obj->lock);
	return err;
}

/* -- back to private ------------------------------------------------------------------ */

/* The entry at @index is SHARED or ZERO; *@page is zeroed or to be copied to, and spent or not. */
static int make_private(struct mem_object *obj, pgoff_t index, struct page **page)
{
	void *entry = xa_load(&obj->pages, index);
	struct mem_shared *sh = entry_state(entry) == MEM_SHARED ? entry : NULL;
	struct page *own = NULL;
	int err;

	object_unmap(obj, index, index, false);
	if (sh)
		own = shared_end(sh, true);
	if (own) {
		sh = NULL;
	} else {
		own = *page;
		*page = NULL;
		if (sh)
			memcpy(page_address(own), page_address(sh->page), PAGE_SIZE);
		else
			clear_page(page_address(own));
	}
	/* No entry is added, so this takes no memory */
	err = object_set(obj, index, entry_make(MEM_PRIVATE, own));
	if (sh)
		shared_unuse(sh);
	return err;
}

int object_unshare(struct mem_object *obj, pgoff_t index, bool by_write, bool user)
{
	struct page *page = object_alloc(false, user);
	enum mem_page_state state;
	int err = 0;

	if (!page)
		return -ENOMEM;
	down_write(&obj->lock);
	state = entry_state(xa_load(&obj->pages, index));
	if (state == MEM_SHARED || (state == MEM_ZERO && by_write)) {
		err = make_private(obj, index, &page);
		if (!err && by_write)
			obj->counts.copied++;
		else if (!err)
			obj->counts.unshared++;
	}
	up_write(&obj->lock);
	if (page)
		put_page(page);
	return err;
}

int mem_unshare(struct mem_object *obj, pgoff_t first, unsigned long n)
{
	pgoff_t last = n ? first + min(n - 1, ULONG_MAX - first) : 0, index = first;
	void *entry;
	int err = 0;

	if (!n)
		return 0;
	for (; !err; index++) {
		bool dead;

		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
		down_read(&obj->lock);
		dead = obj->dead;
		entry = xa_find(&obj->pages, &index, last, XA_PRESENT);
		while (entry && entry_state(entry) != MEM_SHARED)
			entry = xa_find_after(&obj->pages, &index, last, XA_PRESENT);
		up_read(&obj->lock);
		if (dead)
			return -ESTALE;
		if (!entry)
			break;
		err = object_unshare(obj, index, false, false);
		if (index == last)
			break;
	}
	return err;
}
