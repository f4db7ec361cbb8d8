// SPDX-License-Identifier: GPL-2.0-only
/* Guest memory: one host mapping, laid out around the hole below 4 GiB. */
#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "layout.h"
#include "util.h"

#define EMYS_MEM "/dev/emys-mem"

/* Guest and host addresses agree modulo this, so large pages can be used. */
#define MEM_ALIGN (1ULL << 30)

static int open_backend(struct guest_mem *mem, enum mem_backend want)
{
	int fd;

	mem->backend = "anon";
	if (want == MEM_ANON)
		return -1;
	fd = open(EMYS_MEM, O_RDWR | O_CLOEXEC);
	if (fd >= 0) {
		mem->backend = "emys";
		mem->shared = true;
		return fd;
	}
	if (want == MEM_EMYS || errno != ENOENT)
		msg("%s: %s; guest memory is anonymous instead", EMYS_MEM,
		    strerror(errno));
	return -1;
}

int guest_mem_create(struct guest_mem *mem, uint64_t size,
		     enum mem_backend want)
{
	int flags = MAP_FIXED | MAP_NORESERVE, fd, rc;
	uint64_t at;

	memset(mem, 0, sizeof(*mem));
	if (size < MEM_MIN || size % 4096 || size > (1ULL << 45)) {
		msg("memory: %llu bytes: must be a multiple of 4 KiB, from 8 MiB to 32 TiB",
		    (unsigned long long)size);
		return -EINVAL;
	}
	mem->size = size;
	mem->low = size < MEM_HOLE_START ? size : MEM_HOLE_START;
	mem->high = size - mem->low;
	mem->map_len = size + MEM_ALIGN;

	mem->map = mmap(NULL, mem->map_len, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mem->map == MAP_FAILED) {
		rc = -errno;
		msg("memory: cannot reserve %llu MiB of address space: %s",
		    (unsigned long long)(size / MIB), strerror(errno));
		mem->map = NULL;
		return rc;
	}
	at = round_up((uintptr_t)mem->map, MEM_ALIGN);

	fd = open_backend(mem, want);
	flags |= fd >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;
	mem->base = mmap((void *)at, size, PROT_READ | PROT_WRITE, flags, fd,
			 0);
	rc = -errno;
	if (fd >= 0)
		close(fd);
	if (mem->base == MAP_FAILED) {
		msg("memory: cannot map %llu MiB of %s memory: %s",
		    (unsigned long long)(size / MIB), mem->backend,
		    strerror(-rc));
		mem->base = NULL;
		guest_mem_destroy(mem);
		return rc;
	}
	/* Hints: a kernel without them runs the guest just as well. */
	madvise(mem->base, size, MADV_DONTDUMP);
	if (fd < 0)
		madvise(mem->base, size, MADV_HUGEPAGE);
	return 0;
}

int guest_mem_mergeable(const struct guest_mem *mem)
{
	int rc = -EINVAL;

	if (strcmp(mem->backend, "anon")) {
		msg("memory: KSM merges anonymous memory only; see vmctl dedup for that of emys");
		return rc;
	}
	if (!madvise(mem->base, mem->size, MADV_MERGEABLE))
		return 0;
	rc = -errno;
	msg("memory: this host has no KSM: %s", strerror(-rc));
	return rc;
}

void guest_mem_destroy(struct guest_mem *mem)
{
	if (mem->map)
		munmap(mem->map, mem->map_len);
	mem->map = NULL;
	mem->base = NULL;
}

static bool within(uint64_t off, uint64_t len, uint64_t size)
{
	return off <= size && len <= size - off;
}

void *guest_mem_ptr(const struct guest_mem *mem, uint64_t gpa, uint64_t len)
{
	if (within(gpa, len, mem->low))
		return mem->base + gpa;
	if (gpa >= MEM_HOLE_END && within(gpa - MEM_HOLE_END, len, mem->high))
		return mem->base + mem->low + (gpa - MEM_HOLE_END);
	return NULL;
}

int guest_mem_discard(const struct guest_mem *mem, uint64_t gpa, uint64_t len)
{
	void *p = guest_mem_ptr(mem, gpa, len);

	if (!p)
		return -EFAULT;
	return madvise(p, len, mem->shared ? MADV_REMOVE : MADV_DONTNEED) ?
	       -errno : 0;
}

unsigned int guest_mem_e820(const struct guest_mem *mem,
			    struct e820_entry *map)
{
	const struct e820_entry fixed[] = {
		{ 0, LAYOUT_EBDA, E820_RAM },
		{ LAYOUT_EBDA, 0xa0000 - LAYOUT_EBDA, E820_RESERVED },
		{ LAYOUT_ACPI, LAYOUT_ACPI_END - LAYOUT_ACPI, E820_RESERVED },
		{ LAYOUT_HIGH, mem->low - LAYOUT_HIGH, E820_RAM },
		/* The TSS and identity-map pages given to KVM. */
		{ LAYOUT_KVM, MEM_HOLE_END - LAYOUT_KVM, E820_RESERVED },
		{ MEM_HOLE_END, mem->high, E820_RAM },
	};
	unsigned int n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		if (fixed[i].size)
			map[n++] = fixed[i];
	return n;
}
