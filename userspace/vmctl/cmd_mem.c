// SPDX-License-Identifier: GPL-2.0-only
/* vmctl mem: who has what memory, and what is saved. */
#include <errno.h>
#include <stdio.h>

#include "memcmd.h"
#include "util.h"

static void print_vms(const json_t *vms, const json_t *names)
{
	json_t *vm;
	size_t i;

	printf("%4s %-14s %7s %6s %8s %8s %8s %8s %8s %8s %8s %8s\n", "VM", "NAME", "PID",
	       "DOMAIN", "RESIDENT", "SHARED", "ZERO", "BALLOON", "SAVED", "LARGE", "ACTIVE",
	       "TARGET");
	json_array_foreach(vms, i, vm) {
		long long target = family_int(vm, "target", -1);

		printf("%4lld %-14.14s %7lld %6s %8s %8s %8s %8s %8s %8s %8s %8s\n",
		       family_int(vm, "id", 0), memcmd_name(names, vm), family_int(vm, "pid", 0),
		       memcmd_domain(family_int(vm, "domain", 0)),
		       memcmd_size(memcmd_in(vm, "counts", "resident")),
		       memcmd_size(memcmd_in(vm, "counts", "shared")),
		       memcmd_size(memcmd_in(vm, "counts", "zero")),
		       memcmd_size(memcmd_in(vm, "counts", "ballooned")),
		       memcmd_size(memcmd_in(vm, "counts", "saved")),
		       memcmd_size(memcmd_in(vm, "counts", "blocks") * 512),
		       memcmd_size(memcmd_in(vm, "balloon", "active")),
		       target < 0 ? "-" : memcmd_size(target));
	}
}

/* Of whole domains: the parts of the VMs in it are rounded. */
static long long saved_by_all(struct family *f)
{
	long long saved = 0;
	json_t *domains, *d;
	size_t i;

	if (family_dump(f, EMYS_CMD_DOMAIN_GET, &domains))
		return 0;
	json_array_foreach(domains, i, d)
		saved += memcmd_in(d, "counts", "saved");
	json_decref(domains);
	return saved;
}

static void print_module(const json_t *m, long long saved)
{
	const json_t *stats = json_object_get(m, "stats");

	printf("guests use %s, %s of it shared, and save %s\n",
	       memcmd_size(family_int(m, "pages", 0)), memcmd_size(family_int(m, "shared", 0)),
	       memcmd_size(saved));
	printf("memory is %s: %s free of %s%s\n\n", family_str(stats, "state"),
	       memcmd_size(family_int(stats, "free", 0)),
	       memcmd_size(family_int(stats, "budget", 0)),
	       memcmd_in(m, "reclaim", "budget") ? " of the budget" : "");
}

static int mem(int argc, char **argv)
{
	json_t *vms, *module = NULL, *names;
	bool json = false;
	struct family *f;
	int status, r;

	argc = memcmd_options(&cmd_mem, argc, argv, &json, &status);
	if (argc < 0)
		return status;
	if (argc > 1)
		return command_usage(&cmd_mem);
	f = family_open_or_say();
	if (!f)
		return EXIT_FAIL;
	if (family_dump(f, EMYS_CMD_VM_GET, &vms)) {
		msg("%s", family_error(f));
		family_close(f);
		return EXIT_FAIL;
	}
	/* The whole is for who may see it; the caller's own VMs are told in any case. */
	r = family_call(f, EMYS_CMD_MODULE_GET, NULL, &module);
	if (r && r != -EPERM)
		msg("%s", family_error(f));
	names = memcmd_names();
	if (json) {
		json_t *all = json_object(), *vm;
		size_t i;

		json_array_foreach(vms, i, vm)
			json_object_set_new(vm, "name", json_string(memcmd_name(names, vm)));
		if (module) {
			json_object_set(all, "module", module);
			json_object_set_new(all, "saved", json_integer(saved_by_all(f)));
		}
		json_object_set(all, "vms", vms);
		memcmd_json(all);
	} else {
		if (module)
			print_module(module, saved_by_all(f));
		print_vms(vms, names);
	}
	json_decref(names);
	json_decref(module);
	json_decref(vms);
	family_close(f);
	return r && r != -EPERM ? EXIT_FAIL : EXIT_OK;
}

const struct command cmd_mem = {
	.name = "mem",
	.run = mem,
	.usage = "mem [--json]",
	.summary = "show who has what memory, and what is saved",
	.help =
"  -j, --json   an object: module, saved, and vms with every counter, in pages of 4K\n\n"
"RESIDENT  memory of the host that it has, SHARED of it together with others\n"
"ZERO      pages that held zeros and were dropped\n"
"BALLOON   memory it gave back by its balloon\n"
"SAVED     what sharing and dropping spare the host\n"
"LARGE     of RESIDENT, in pages of 2M\n"
"ACTIVE    estimate of what it works with; TARGET what it shall have\n"
"DOMAIN    \"own\": it shares with no other VM; see vmctl domain\n"
"Shows the VMs of this user, and to root all of them.\n",
};
