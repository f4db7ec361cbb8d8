/* SPDX-License-Identifier: GPL-2.0-only */
/* Red-black trees with the kernel's names, as far as the pure files use them */
#ifndef _EMYS_SHIM_RBTREE_H
#define _EMYS_SHIM_RBTREE_H

#include <linux/list.h>

struct rb_node {
	struct rb_node *rb_parent, *rb_left, *rb_right;
	int rb_red;
};

struct rb_root {
	struct rb_node *rb_node;
};

#define RB_ROOT			((struct rb_root){ NULL })
#define rb_entry(p, type, member)	container_of(p, type, member)

static inline void rb_link_node(struct rb_node *node, struct rb_node *parent,
				struct rb_node **link)
{
	*node = (struct rb_node){ .rb_parent = parent, .rb_red = 1 };
	*link = node;
}

void rb_insert_color(struct rb_node *node, struct rb_root *root);
void rb_erase(struct rb_node *node, struct rb_root *root);
void rb_replace_node(struct rb_node *old, struct rb_node *new, struct rb_root *root);

#endif
