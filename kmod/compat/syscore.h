/* SPDX-License-Identifier: GPL-2.0-only */
/* syscore.h - suspend and resume of the last CPU: struct syscore since 6.18. */
#ifndef _EMYS_COMPAT_SYSCORE_H
#define _EMYS_COMPAT_SYSCORE_H

#include <linux/syscore_ops.h>

struct compat_syscore {
	void (*suspend)(void);
	void (*resume)(void);
#ifdef HAVE_SYSCORE
	struct syscore_ops ops;
	struct syscore core;
#else
	struct syscore_ops ops;
#endif
};

#define COMPAT_SYSCORE_INIT(s, r)	{ .suspend = (s), .resume = (r) }

#ifdef HAVE_SYSCORE
static inline int compat_syscore_do_suspend(void *data)
{
	((struct compat_syscore *)data)->suspend();
	return 0;
}

static inline void compat_syscore_do_resume(void *data)
{
	((struct compat_syscore *)data)->resume();
}

static inline void compat_syscore_do_shutdown(void *data)
{
	((struct compat_syscore *)data)->suspend();
}

static inline void compat_syscore_register(struct compat_syscore *cs)
{
	cs->ops.suspend = compat_syscore_do_suspend;
	cs->ops.resume = compat_syscore_do_resume;
	cs->ops.shutdown = compat_syscore_do_shutdown;
	cs->core.ops = &cs->ops;
	cs->core.data = cs;
	register_syscore(&cs->core);
}

static inline void compat_syscore_unregister(struct compat_syscore *cs)
{
	unregister_syscore(&cs->core);
}
#else
/* The old callbacks take no argument: one user, remembered here. */
static struct compat_syscore *compat_syscore_one;

static int compat_syscore_do_suspend(void)
{
	compat_syscore_one->suspend();
	return 0;
}

static void compat_syscore_do_resume(void)
{
	compat_syscore_one->resume();
}

static void compat_syscore_do_shutdown(void)
{
	compat_syscore_one->suspend();
}

static inline void compat_syscore_register(struct compat_syscore *cs)
{
	compat_syscore_one = cs;
	cs->ops.suspend = compat_syscore_do_suspend;
	cs->ops.resume = compat_syscore_do_resume;
	cs->ops.shutdown = compat_syscore_do_shutdown;
	register_syscore_ops(&cs->ops);
}

static inline void compat_syscore_unregister(struct compat_syscore *cs)
{
	unregister_syscore_ops(&cs->ops);
}
#endif

#endif
