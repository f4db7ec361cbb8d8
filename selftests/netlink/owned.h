/* SPDX-License-Identifier: GPL-2.0-only */
/* owned: a VM with memory of /dev/emys-mem, as the netlink family sees it. */
#ifndef _NETLINK_OWNED_H
#define _NETLINK_OWNED_H

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "nl.h"
#include "vmm.h"

#define PAGE		4096ull
#define OWNED_PAGES	1024ull

struct owned {
	struct vm *vm;
	int object;			/* file */
	u8 *mem;			/* the VM's slot 0 */
};

static inline struct owned owned_sized(u64 pages)
{
	struct owned o = { .vm = vm_create_bare(ksft_device) };

	o.object = CHECK_OK(open("/dev/emys-mem", O_RDWR | O_CLOEXEC));
	o.mem = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, o.object, 0);
	CHECK(o.mem != MAP_FAILED);
	vm_region(o.vm, 0, 0, 0, pages * PAGE, o.mem);
	return o;
}

static inline struct owned owned_make(void)
{
	return owned_sized(OWNED_PAGES);
}

#endif
