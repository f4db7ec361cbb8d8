// SPDX-License-Identifier: GPL-2.0-only
/* The userspace EPT backend: an arena of table pages that a test can inspect */

#include "ept_backend.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <sanitizer/asan_interface.h>

#include <asm/page.h>

#include "../../../kmod/ept/table.h"

#define PAGES		8192
#define STRIDE		8192	/* a page and a poisoned gap */
#define PAGE		4096
#define PA_BASE		0x40000000ULL

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *arena;
static int free_list[PAGES];	/* stack of indices */
static int nr_free, nr_touched;
static bool in_use[PAGES];
static void *next_of[PAGES];
static long live, fail_after = -1;
static bool wrap;

void (*shim_race_point)(void);

static void die(const char *what, unsigned long long value)
{
	fprintf(stderr, "ept backend: %s (%#llx)\n", what, value);
	abort();
}

static int index_of(const void *page)
{
	size_t offset = (const char *)page - arena;
	int i = offset / STRIDE;

	if (!arena || offset % STRIDE || i >= PAGES || !in_use[i])
		die("not a live table page", (unsigned long)page);
	return i;
}

void *ept_page_alloc(void)
{
	void *page = NULL;
	int i = -1;

	pthread_mutex_lock(&lock);
	if (!arena) {
		arena = mmap(NULL, (size_t)PAGES * STRIDE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (arena == MAP_FAILED)
			die("no arena", 0);
		ASAN_POISON_MEMORY_REGION(arena, (size_t)PAGES * STRIDE);
	}
	if (fail_after) {
		if (fail_after > 0)
			fail_after--;
		if (nr_free)
			i = free_list[--nr_free];
		else if (nr_touched < PAGES)
			i = nr_touched++;
	}
	if (i >= 0) {
		in_use[i] = true;
		live++;
		page = arena + (size_t)i * STRIDE;
		ASAN_UNPOISON_MEMORY_REGION(page, PAGE);
		memset(page, 0, PAGE);
	}
	pthread_mutex_unlock(&lock);
	return page;
}

void ept_page_free(void *page)
{
	int i;

	pthread_mutex_lock(&lock);
	i = index_of(page);
	memset(page, 0xa5, PAGE);
	ASAN_POISON_MEMORY_REGION(page, PAGE);
	in_use[i] = false;
	next_of[i] = NULL;
	free_list[nr_free++] = i;
	live--;
	pthread_mutex_unlock(&lock);
}

void ept_page_set_next(void *page, void *next)
{
	next_of[index_of(page)] = next;
}

void *ept_page_next(void *page)
{
	return next_of[index_of(page)];
}

u64 shim_pa(const void *page)
{
	return PA_BASE + (u64)index_of(page) * PAGE;
}

void *shim_va(u64 pa)
{
	u64 i = (pa - PA_BASE) / PAGE;

	if (wrap)
		i = (pa / PAGE) % nr_touched;
	else if (pa < PA_BASE || pa % PAGE || i >= PAGES || !in_use[i])
		die("not the address of a table page", pa);
	return arena + i * STRIDE;
}

long backend_live(void)
{
	return live;
}

void backend_fail_after(long n)
{
	fail_after = n;
}

void backend_wrap(int on)
{
	wrap = on;
}

void backend_reset(void)
{
	int i;

	for (i = 0; i < nr_touched; i++)
		if (in_use[i])
			ept_page_free(arena + (size_t)i * STRIDE);
	fail_after = -1;
	wrap = false;
}
