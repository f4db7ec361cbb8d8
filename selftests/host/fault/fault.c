// SPDX-License-Identifier: GPL-2.0-only
/*
 * A module that does one thing wrong, to show that the harness notices.
 */
#include <linux/delay.h>
#include <linux/kmemleak.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

static char *kind = "none";
module_param(kind, charp, 0);
MODULE_PARM_DESC(kind, "what to do wrong");

static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);
static DEFINE_SPINLOCK(spin);

static void fault_warn(void)
{
	WARN(1, "deliberate\n");
}

static void fault_oops(void)
{
	WRITE_ONCE(*(int *)8, 1);
}

static void fault_hang(void)
{
	for (;;)
		cpu_relax();
}

static void fault_bounds(void)
{
	char *p = kmalloc(32, GFP_KERNEL);

	if (!p)
		return;
	OPTIMIZER_HIDE_VAR(p);
	WRITE_ONCE(p[32], 1);
	kfree(p);
}

static void fault_after_free(void)
{
	char *p = kmalloc(32, GFP_KERNEL);

	kfree(p);
	OPTIMIZER_HIDE_VAR(p);
	if (p)
		WRITE_ONCE(p[0], 1);
}

static void fault_lock_order(void)
{
	mutex_lock(&first);
	mutex_lock(&second);
	mutex_unlock(&second);
	mutex_unlock(&first);
	mutex_lock(&second);
	mutex_lock(&first);
	mutex_unlock(&first);
	mutex_unlock(&second);
}

static void fault_sleep(void)
{
	spin_lock(&spin);
	msleep(1);
	spin_unlock(&spin);
}

static void fault_shift(void)
{
	int by = 40;

	OPTIMIZER_HIDE_VAR(by);
	pr_info("%d\n", 1 << by);
}

static void fault_leak(void)
{
	int i;

	for (i = 0; i < 8; i++) {
		void *p = kmalloc(200, GFP_KERNEL);

		OPTIMIZER_HIDE_VAR(p);
	}
}

static const struct {
	const char *name;
	void (*act)(void);
} faults[] = {
	{ "warn", fault_warn },
	{ "oops", fault_oops },
	{ "hang", fault_hang },
	{ "bounds", fault_bounds },
	{ "after_free", fault_after_free },
	{ "lock_order", fault_lock_order },
	{ "sleep", fault_sleep },
	{ "shift", fault_shift },
	{ "leak", fault_leak },
};

static int __init fault_init(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(faults); i++) {
		if (!strcmp(kind, faults[i].name)) {
			faults[i].act();
			return 0;
		}
	}
	return strcmp(kind, "none") ? -EINVAL : 0;
}
module_init(fault_init);

static void __exit fault_exit(void)
{
}
module_exit(fault_exit);

MODULE_DESCRIPTION("Deliberate faults");
MODULE_LICENSE("GPL");
