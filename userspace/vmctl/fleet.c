// SPDX-License-Identifier: GPL-2.0-only
/* The running VMs and the host's memory, in one look. */
#include "fleet.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "nl.h"
#include "policy.h"
#include "util.h"

#define PAGE 4096ULL

static uint64_t num(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	return json_is_integer(v) ? (uint64_t)json_integer_value(v) :
	       FLEET_UNKNOWN;
}

static uint64_t pages(const json_t *o, const char *key)
{
	uint64_t v = num(o, key);

	return v == FLEET_UNKNOWN ? v : v * PAGE;
}

static struct fleet_vm *add(struct fleet *fleet)
{
	struct fleet_vm *vm = realloc(fleet->vm,
				      (fleet->nr + 1) * sizeof(*vm));

	if (!vm)
		return NULL;
	fleet->vm = vm;
	vm += fleet->nr++;
	*vm = (struct fleet_vm){
		.size = FLEET_UNKNOWN, .target = FLEET_UNKNOWN,
		.actual = FLEET_UNKNOWN, .active = FLEET_UNKNOWN,
		.available = FLEET_UNKNOWN, .resident = FLEET_UNKNOWN,
		.shared = FLEET_UNKNOWN, .zero = FLEET_UNKNOWN,
		.ballooned = FLEET_UNKNOWN, .exits = FLEET_UNKNOWN,
		.shares = VM_SHARES,
	};
	return vm;
}

/* Resident pages of a process: a guest's anonymous memory and little else. */
static uint64_t process_resident(int pid)
{
	unsigned long long resident = 0;
	char path[40];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/statm", pid);
	f = fopen(path, "re");
	if (!f)
		return FLEET_UNKNOWN;
	if (fscanf(f, "%*u %llu", &resident) != 1)
		resident = 0;
	fclose(f);
	return resident * sysconf(_SC_PAGESIZE);
}

static void take_control(struct fleet_vm *vm, const json_t *o)
{
	const json_t *b = json_object_get(o, "balloon");
	const json_t *stats = json_object_get(b, "stats");
	const char *name = json_string_value(json_object_get(o, "name"));
	uint64_t v;

	snprintf(vm->name, sizeof(vm->name), "%s", name ? name : "?");
	vm->control = true;
	vm->pid = json_integer_value(json_object_get(o, "pid"));
	vm->cpus = json_integer_value(json_object_get(o, "cpus"));
	vm->size = num(o, "memory");
	vm->resident = process_resident(vm->pid);
	v = num(o, "shares");
	if (v != FLEET_UNKNOWN)
		vm->shares = v;
	if (!b)
		return;
	vm->driver = json_is_true(json_object_get(b, "driver")) &&
		     !json_is_true(json_object_get(b, "broken"));
	vm->min = num(b, "minimum");
	vm->target = num(b, "target");
	vm->actual = num(b, "actual");
	vm->ballooned = vm->size - vm->actual;
	vm->available = num(stats, "available");
	if (vm->available < vm->actual)
		vm->active = vm->actual - vm->available;
}

static void take_module(struct fleet_vm *vm, const json_t *o)
{
	const json_t *counts = json_object_get(o, "counts");
	const json_t *balloon = json_object_get(o, "balloon");
	uint64_t v = num(o, "shares");

	vm->id = json_integer_value(json_object_get(o, "id"));
	vm->resident = pages(counts, "resident");
	vm->shared = pages(counts, "shared");
	vm->zero = pages(counts, "zero");
	vm->ballooned = pages(counts, "ballooned");
	/* What was asked for last, by the command or over netlink, counts. */
	if (v != FLEET_UNKNOWN && v != VM_SHARES)
		vm->shares = v;
	v = pages(balloon, "active");
	if (v != FLEET_UNKNOWN && v)
		vm->active = v;
	if (vm->control)
		return;
	vm->pid = json_integer_value(json_object_get(o, "pid"));
	snprintf(vm->name, sizeof(vm->name), "pid-%d", vm->pid);
	vm->actual = pages(balloon, "actual");
	vm->target = pages(o, "target");
	/* What the module does not say: its size. It is what it has, and gave. */
	if (vm->actual != FLEET_UNKNOWN && vm->ballooned != FLEET_UNKNOWN)
		vm->size = vm->actual + vm->ballooned;
}

static uint64_t count_exits(const json_t *stat)
{
	uint64_t all = 0, user = 0;
	const char *key;
	json_t *vcpu, *v;
	size_t i;

	json_array_foreach(json_object_get(stat, "vcpus"), i, vcpu) {
		v = json_object_get(json_object_get(vcpu, "counters"), "exits");
		all += json_integer_value(v);
		json_object_foreach(json_object_get(vcpu, "user_exits"), key, v)
			user += json_integer_value(v);
	}
	/* Without the kernel's counters, those that got here. */
	return all ? all : user;
}

static struct fleet_vm *by_pid(struct fleet *fleet, int pid)
{
	for (unsigned int i = 0; i < fleet->nr; i++)
		if (fleet->vm[i].pid == pid && !fleet->vm[i].id)
			return &fleet->vm[i];
	return NULL;
}

static int read_controls(struct fleet *fleet, bool exits)
{
	json_t *list, *o;
	int rc = 0;
	size_t i;

	list = ctl_request_all_json(json_pack("{s:s, s:b}", "cmd", "balloon",
					      "poll", 1));
	json_array_foreach(list, i, o) {
		struct fleet_vm *vm = add(fleet);

		if (!vm) {
			rc = -ENOMEM;
			break;
		}
		take_control(vm, o);
	}
	json_decref(list);
	if (rc || !exits)
		return rc;
	list = ctl_request_all("stat");
	json_array_foreach(list, i, o) {
		json_t *pid = json_object_get(o, "pid");
		struct fleet_vm *vm = by_pid(fleet, json_integer_value(pid));

		/* Those without a balloon answered to this only. */
		if (!vm) {
			vm = add(fleet);
			if (!vm) {
				rc = -ENOMEM;
				break;
			}
			take_control(vm, o);
		}
		vm->exits = count_exits(o);
	}
	json_decref(list);
	return rc;
}

static int read_module(struct fleet *fleet, struct family *f)
{
	const json_t *stats, *reclaim;
	json_t *list, *o;
	const char *word;
	uint64_t v;
	size_t i;

	if (family_dump(f, EMYS_CMD_VM_GET, &list))
		return 0;
	json_array_foreach(list, i, o) {
		struct fleet_vm *vm;
		json_t *pid = json_object_get(o, "pid");

		vm = by_pid(fleet, json_integer_value(pid)) ?: add(fleet);
		if (!vm) {
			json_decref(list);
			return -ENOMEM;
		}
		take_module(vm, o);
	}
	json_decref(list);
	if (family_call(f, EMYS_CMD_MODULE_GET, NULL, &o))
		return 0;
	stats = json_object_get(o, "stats");
	reclaim = json_object_get(o, "reclaim");
	v = pages(o, "pages");
	if (v != FLEET_UNKNOWN)
		fleet->used = v;
	v = pages(reclaim, "budget");
	if (v != FLEET_UNKNOWN)
		fleet->budget = v;
	word = json_string_value(json_object_get(stats, "state"));
	for (int s = 0; word && nl_host_state[s]; s++)
		if (!strcmp(word, nl_host_state[s]))
			fleet->state = s;
	json_decref(o);
	if (!family_dump(f, EMYS_CMD_DOMAIN_GET, &list))
		fleet->domains = list;
	return 0;
}

static void read_host(struct fleet *fleet)
{
	unsigned long long kb;
	char line[160];
	FILE *f;

	fleet->psi = -1;
	f = fopen("/proc/meminfo", "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "MemTotal: %llu", &kb) == 1)
			fleet->total = kb * KIB;
		else if (sscanf(line, "MemAvailable: %llu", &kb) == 1)
			fleet->available = kb * KIB;
	}
	if (f)
		fclose(f);
	f = fopen("/proc/pressure/memory", "re");
	/* Some kernels have the file and refuse to read it. */
	if (f && fgets(line, sizeof(line), f) &&
	    sscanf(line, "some avg10=%lf", &fleet->psi) != 1)
		fleet->psi = -1;
	if (f)
		fclose(f);
}

int fleet_read(struct fleet *fleet, struct family *f, bool exits)
{
	int rc;

	memset(fleet, 0, sizeof(*fleet));
	fleet->state = -1;
	read_host(fleet);
	rc = read_controls(fleet, exits);
	fleet->used = FLEET_UNKNOWN;
	if (!rc && f)
		rc = read_module(fleet, f);
	if (rc) {
		fleet_free(fleet);
		return rc;
	}
	if (fleet->used == FLEET_UNKNOWN) {
		fleet->used = 0;
		for (unsigned int i = 0; i < fleet->nr; i++)
			if (fleet->vm[i].resident != FLEET_UNKNOWN)
				fleet->used += fleet->vm[i].resident;
	} else {
		/* What the module counts, and what VMs elsewhere have. */
		for (unsigned int i = 0; i < fleet->nr; i++)
			if (!fleet->vm[i].id &&
			    fleet->vm[i].resident != FLEET_UNKNOWN)
				fleet->used += fleet->vm[i].resident;
	}
	return 0;
}

void fleet_free(struct fleet *fleet)
{
	free(fleet->vm);
	json_decref(fleet->domains);
	memset(fleet, 0, sizeof(*fleet));
}

const char *fleet_state(const struct fleet *fleet)
{
	return fleet->state < 0 ? "-" : nl_host_state[fleet->state];
}
