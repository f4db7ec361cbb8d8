// SPDX-License-Identifier: GPL-2.0-only
/* Notices: the one place between those who tell and the one who listens. */
#include <linux/rcupdate.h>

#include "notice.h"

typedef void (*notice_fn)(const struct emys_notice *notice);

static notice_fn notice_listener;

void emys_notify(const struct emys_notice *notice)
{
	notice_fn fn;

	rcu_read_lock();
	fn = READ_ONCE(notice_listener);
	if (fn)
		fn(notice);
	rcu_read_unlock();
}

void emys_notice_listen(notice_fn fn)
{
	WRITE_ONCE(notice_listener, fn);
	if (!fn)
		synchronize_rcu();
}
