// SPDX-License-Identifier: GPL-2.0-only
/* Red-black trees: as deep as the kernel's, so that comparisons are counted right */

/*
 * The rules: a red node has black children, and every way down from the root passes as many
 * black nodes. Absent children are black.
 */

#include <linux/rbtree.h>

static struct rb_node **slot(struct rb_node *node, struct rb_root *root)
{
	struct rb_node *up = node->rb_parent;

	if (!up)
		return &root->rb_node;
	return up->rb_left == node ? &up->rb_left : &up->rb_right;
}

/* The child on one side of @node takes its place, and @node goes down to the other. */
static void rotate(struct rb_node *node, bool left, struct rb_root *root)
{
	struct rb_node *child = left ? node->rb_right : node->rb_left;
	struct rb_node *moved = left ? child->rb_left : child->rb_right;

	*slot(node, root) = child;
	child->rb_parent = node->rb_parent;
	node->rb_parent = child;
	if (moved)
		moved->rb_parent = node;
	if (left) {
		node->rb_right = moved;
		child->rb_left = node;
	} else {
		node->rb_left = moved;
		child->rb_right = node;
	}
}

static bool red(const struct rb_node *node)
{
	return node && node->rb_red;
}

void rb_insert_color(struct rb_node *node, struct rb_root *root)
{
	struct rb_node *up, *top, *uncle;
	bool left;

	while ((up = node->rb_parent) && up->rb_red) {
		top = up->rb_parent;
		left = up == top->rb_left;
		uncle = left ? top->rb_right : top->rb_left;
		if (red(uncle)) {
			up->rb_red = 0;
			uncle->rb_red = 0;
			top->rb_red = 1;
			node = top;
			continue;
		}
		if (node == (left ? up->rb_right : up->rb_left)) {
			rotate(up, left, root);
			up = node;
		}
		up->rb_red = 0;
		top->rb_red = 1;
		rotate(top, !left, root);
		break;
	}
	root->rb_node->rb_red = 0;
}

/* Ways through @node (maybe absent, a child of @up) have one black node too few. */
static void erase_color(struct rb_node *node, struct rb_node *up, struct rb_root *root)
{
	struct rb_node *side, *near, *far;
	bool left;

	while (node != root->rb_node && !red(node)) {
		left = node == up->rb_left;
		side = left ? up->rb_right : up->rb_left;
		if (side->rb_red) {
			side->rb_red = 0;
			up->rb_red = 1;
			rotate(up, left, root);
			side = left ? up->rb_right : up->rb_left;
		}
		near = left ? side->rb_left : side->rb_right;
		far = left ? side->rb_right : side->rb_left;
		if (!red(near) && !red(far)) {
			side->rb_red = 1;
			node = up;
			up = node->rb_parent;
			continue;
		}
		if (!red(far)) {
			near->rb_red = 0;
			side->rb_red = 1;
			rotate(side, !left, root);
			far = side;
			side = near;
		}
		side->rb_red = up->rb_red;
		up->rb_red = 0;
		far->rb_red = 0;
		rotate(up, left, root);
		node = root->rb_node;
	}
	if (node)
		node->rb_red = 0;
}

void rb_replace_node(struct rb_node *old, struct rb_node *new, struct rb_root *root)
{
	*slot(old, root) = new;
	*new = *old;
	if (new->rb_left)
		new->rb_left->rb_parent = new;
	if (new->rb_right)
		new->rb_right->rb_parent = new;
}

void rb_erase(struct rb_node *node, struct rb_root *root)
{
	struct rb_node *child, *up, *next;
	int was_red = node->rb_red;

	if (node->rb_left && node->rb_right) {
		/* the next in order has no left child: it leaves its place for this one */
		for (next = node->rb_right; next->rb_left; next = next->rb_left)
			;
		child = next->rb_right;
		was_red = next->rb_red;
		up = next->rb_parent == node ? next : next->rb_parent;
		*slot(next, root) = child;
		if (child)
			child->rb_parent = next->rb_parent;
		rb_replace_node(node, next, root);
	} else {
		child = node->rb_left ? node->rb_left : node->rb_right;
		up = node->rb_parent;
		*slot(node, root) = child;
		if (child)
			child->rb_parent = up;
	}
	if (!was_red)
		erase_color(child, up, root);
}
