// SPDX-License-Identifier: GPL-2.0-only
/* Follow the targets that the module is told for this VM. */
#include "follow.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "nl.h"
#include "vm.h"

static void apply(struct vm *vm, const json_t *from)
{
	long long pages = family_int(from, "target", -1);
	uint64_t bytes;

	if (pages < 0 || (uint64_t)pages > vm->mem.size / BALLOON_PAGE)
		return;
	bytes = pages * BALLOON_PAGE;
	if (bytes < vm->cfg->balloon_min)
		bytes = vm->cfg->balloon_min;
	virtio_balloon_target(&vm->balloon, bytes);
}

/* What the module has about this VM: by its id, or by the process the first time. */
static void look(struct follow *follow, struct vm *vm)
{
	json_t *list, *o;
	size_t i;

	if (family_dump(follow->f, EMYS_CMD_VM_GET, &list))
		return;
	json_array_foreach(list, i, o) {
		if (follow->id ? family_int(o, "id", 0) != follow->id :
				 family_int(o, "pid", 0) != getpid())
			continue;
		follow->id = family_int(o, "id", 0);
		apply(vm, o);
	}
	json_decref(list);
}

void follow_open(struct follow *follow, struct vm *vm)
{
	*follow = (struct follow){ .fd = -1 };
	if (!vm->cfg->balloon || family_open(&follow->f))
		return;
	/* Listen first: a target set between the two is seen twice, not missed. */
	follow->fd = family_listen(follow->f, false);
	if (follow->fd >= 0)
		look(follow, vm);
	if (!follow->id)
		follow_close(follow);
}

void follow_close(struct follow *follow)
{
	if (follow->f)
		family_close(follow->f);
	*follow = (struct follow){ .fd = -1 };
}

void follow_serve(struct follow *follow, struct vm *vm)
{
	json_t *event;
	int rc;

	while ((rc = family_event(follow->f, &event)) == 1) {
		if (!strcmp(family_str(event, "event"), "balloon-target") &&
		    family_int(event, "vm", 0) == follow->id)
			apply(vm, event);
		json_decref(event);
	}
	/* Some were lost: the last target may be among them. */
	if (rc == -ENOBUFS)
		look(follow, vm);
	else if (rc < 0)
		follow_close(follow);
}
