// SPDX-License-Identifier: GPL-2.0-only
/* debugfs emys/objects: every page of every object, from which counters can be worked out anew */

#include <linux/debugfs.h>
#include <linux/mm.h>
#include <linux/seq_file.h>

#include "private.h"

/*
 * One line per object, then one per run of its pages:
 *
 *	object ID domain N end N dead 0|1 and the counters, by name
 *	pages ID INDEX COUNT absent|private|block|shared|zero|ballooned FRAME
 *
 * Runs that are ABSENT are left out. FRAME is the first one's, 0 where there is none.
 */
struct walk {
	struct mem_object *obj;
	bool head;		/* the line of the object itself */
	pgoff_t index, count;
	const char *state;
	unsigned long frame;
};

static const char * const state_name[MEM_PAGE_STATES] = {
	[MEM_ABSENT] = "absent",
	[MEM_PRIVATE] = "private",
	[MEM_SHARED] = "shared",
	[MEM_ZERO] = "zero",
	[MEM_BALLOONED] = "ballooned",
};

static const char *describe(struct mem_object *obj, pgoff_t index, unsigned long *frame)
{
	void *entry = xa_load(&obj->pages, index);
	enum mem_page_state state = entry_state(entry);

	*frame = state == MEM_PRIVATE || state == MEM_SHARED ? page_to_pfn(entry_page(entry)) : 0;
	return state == MEM_PRIVATE && object_in_block(obj, index) ? "block" : state_name[state];
}

/* The next run at or behind w->index. False: the object has no more. */
static bool find_run(struct walk *w)
{
	unsigned long frame, index = w->index;
	bool found;

	down_read(&w->obj->lock);
	found = xa_find(&w->obj->pages, &index, ULONG_MAX - 1, XA_PRESENT);
	if (found) {
		w->index = index;
		w->count = 1;
		w->state = describe(w->obj, index, &w->frame);
		while (describe(w->obj, index + w->count, &frame) == w->state &&
		       (!frame || frame == w->frame + w->count))
			w->count++;
	}
	up_read(&w->obj->lock);
	return found;
}

/* Go to the object behind @after. */
static struct walk *next_object(struct walk *w, u32 after)
{
	if (w->obj)
		mem_object_put(w->obj);
	w->obj = mem_object_next(after);
	w->head = true;
	w->index = 0;
	w->count = 0;
	return w->obj ? w : NULL;
}

static void *walk_start(struct seq_file *m, loff_t *pos)
{
	struct walk *w = m->private;

	if (!*pos)
		return next_object(w, 0);
	/* Otherwise where walk_next() left off, even if it is to be shown again */
	return w->obj ? w : NULL;
}

static void *walk_next(struct seq_file *m, void *v, loff_t *pos)
{
	struct walk *w = v;

	++*pos;
	w->head = false;
	w->index += w->count;
	return find_run(w) ? w : next_object(w, mem_object_id(w->obj));
}

static void walk_stop(struct seq_file *m, void *v)
{
}

static void show_head(struct seq_file *m, struct mem_object *obj)
{
	struct mem_counts c;
	int i;

	mem_object_counts(obj, &c);
	seq_printf(m, "object %u domain %u end %lu dead %d", mem_object_id(obj),
		   mem_object_domain(obj), mem_object_end(obj), mem_object_dead(obj));
	for (i = 0; i < MEM_PAGE_STATES; i++)
		seq_printf(m, " %s %llu", state_name[i], c.state[i]);
	seq_printf(m, " blocks %llu made %llu broken %llu collapsed %llu kept %llu freed %llu",
		   c.blocks, c.blocks_made, c.blocks_broken, c.blocks_collapsed, c.blocks_kept,
		   c.blocks_freed);
	seq_printf(m, " merged %llu zeroed %llu copied %llu unshared %llu punched %llu refaulted %llu\n",
		   c.merged, c.zeroed, c.copied, c.unshared, c.punched, c.refaulted);
}

static int walk_show(struct seq_file *m, void *v)
{
	struct walk *w = v;

	if (w->head)
		show_head(m, w->obj);
	else
		seq_printf(m, "pages %u %lu %lu %s %lu\n", mem_object_id(w->obj), w->index,
			   w->count, w->state, w->frame);
	return 0;
}

static const struct seq_operations walk_ops = {
	.start = walk_start,
	.next = walk_next,
	.stop = walk_stop,
	.show = walk_show,
};

static int walk_open(struct inode *inode, struct file *file)
{
	return seq_open_private(file, &walk_ops, sizeof(struct walk));
}

static int walk_release(struct inode *inode, struct file *file)
{
	struct walk *w = ((struct seq_file *)file->private_data)->private;

	if (w->obj)
		mem_object_put(w->obj);
	return seq_release_private(inode, file);
}

static const struct file_operations walk_fops = {
	.owner = THIS_MODULE,
	.open = walk_open,
	.read = seq_read,
	.llseek = seq_lseek,
	.release = walk_release,
};

void mem_debugfs_init(struct dentry *dir)
{
	debugfs_create_file("objects", 0400, dir, NULL, &walk_fops);
	derived_debugfs_init(dir);
}
