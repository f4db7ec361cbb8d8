/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * objects.h - the module's own walk of all pages, /sys/kernel/debug/emys/objects: counters
 * beside what they must be.
 */
#ifndef _OBJECTS_H
#define _OBJECTS_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm.h"

#define OBJECTS_FILE	"/sys/kernel/debug/emys/objects"

enum { ABSENT, PRIVATE, SHARED, ZERO, BALLOONED, STATES };

struct object {
	u32 id;
	u64 domain, end, dead;
	u64 state[STATES];
	u64 blocks, made, broken, collapsed, kept, freed;
	u64 merged, zeroed, copied, unshared, punched, refaulted;
};

static const char * const object_states[] = {
	"absent", "private", "shared", "zero", "ballooned", "block"
};

static inline u64 object_field(const char *line, const char *name)
{
	char key[32];
	const char *p;

	snprintf(key, sizeof(key), " %s ", name);
	p = strstr(line, key);
	CHECK_MSG(p, "no %s in: %s", name, line);
	return strtoull(p + strlen(key), NULL, 10);
}

static inline FILE *objects_open(void)
{
	FILE *f = fopen(OBJECTS_FILE, "r");

	CHECK_MSG(f, OBJECTS_FILE ": %s", strerror(errno));
	return f;
}

/* The object that was opened last */
static inline u32 object_newest(void)
{
	FILE *f = objects_open();
	char line[1024];
	u32 id = 0, newest = 0;

	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "object %u ", &id) == 1 && id > newest)
			newest = id;
	fclose(f);
	CHECK(newest);
	return newest;
}

/* Read it, and check the counters against the walk. False: there is no such object. */
static inline int object_read(u32 id, struct object *o)
{
	u64 seen[ARRAY_SIZE(object_states)] = { 0 }, index, count, frame;
	FILE *f = objects_open();
	char line[1024], state[16];
	unsigned int i;
	u32 nr;

	memset(o, 0, sizeof(*o));
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "object %u ", &nr) == 1 && nr == id) {
			o->id = id;
			o->domain = object_field(line, "domain");
			o->end = object_field(line, "end");
			o->dead = object_field(line, "dead");
			for (i = 0; i < STATES; i++)
				o->state[i] = object_field(line, object_states[i]);
			o->blocks = object_field(line, "blocks");
			o->made = object_field(line, "made");
			o->broken = object_field(line, "broken");
			o->collapsed = object_field(line, "collapsed");
			o->kept = object_field(line, "kept");
			o->freed = object_field(line, "freed");
			o->merged = object_field(line, "merged");
			o->zeroed = object_field(line, "zeroed");
			o->copied = object_field(line, "copied");
			o->unshared = object_field(line, "unshared");
			o->punched = object_field(line, "punched");
			o->refaulted = object_field(line, "refaulted");
		} else if (sscanf(line, "pages %u %llu %llu %15s %llu", &nr,
				  (unsigned long long *)&index, (unsigned long long *)&count,
				  state, (unsigned long long *)&frame) == 5 && nr == id) {
			for (i = 0; i < ARRAY_SIZE(object_states); i++)
				if (!strcmp(state, object_states[i]))
					break;
			CHECK_MSG(i < ARRAY_SIZE(object_states), "state %s", state);
			CHECK_MSG(index + count <= o->end, "pages behind the end: %s", line);
			seen[i] += count;
		}
	}
	fclose(f);
	if (!o->id)
		return 0;
	CHECK_EQ(o->state[PRIVATE], seen[PRIVATE] + seen[STATES]);
	CHECK_EQ(o->state[SHARED], seen[SHARED]);
	CHECK_EQ(o->state[ZERO], seen[ZERO]);
	CHECK_EQ(o->state[BALLOONED], seen[BALLOONED]);
	CHECK_EQ(o->state[ABSENT] + seen[PRIVATE] + seen[STATES] + seen[SHARED] + seen[ZERO] +
		 seen[BALLOONED], o->end);
	CHECK_EQ(o->blocks * 512, seen[STATES]);
	CHECK_EQ(o->blocks + o->broken + o->freed, o->made + o->collapsed);
	return 1;
}

/* A number of /sys/kernel/debug/emys/stats: "pages", "shared", "vms" */
static inline u64 module_stat(const char *name)
{
	FILE *f = fopen("/sys/kernel/debug/emys/stats", "r");
	char line[128];
	size_t n = strlen(name);

	CHECK(f);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, name, n) && line[n] == ':') {
			fclose(f);
			return strtoull(line + n + 1, NULL, 10);
		}
	FAIL("no %s in the module's stats", name);
}

/* The same when what a dying VM held is freed, which a worker does: a moment later. */
static inline u64 module_stat_after(const char *name, u64 want)
{
	unsigned int i;

	for (i = 0; i < 100 * ksft_slowness() && module_stat(name) != want; i++)
		usleep(10000);
	return module_stat(name);
}

static inline int object_open(void)
{
	int fd;

	REQUIRE(ksft_is_emys(), "only emys has memory of its own");
	fd = open("/dev/emys-mem", O_RDWR | O_CLOEXEC);
	CHECK_MSG(fd >= 0, "/dev/emys-mem: %s", strerror(errno));
	return fd;
}

static inline void *object_map(int fd, u64 size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	CHECK_MSG(p != MAP_FAILED, "mmap: %s", strerror(errno));
	return p;
}

#endif
