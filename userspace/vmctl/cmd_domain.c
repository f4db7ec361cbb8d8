// SPDX-License-Identifier: GPL-2.0-only
/* vmctl domain: which VMs may share pages with each other. */
#include <stdio.h>
#include <string.h>

#include "memcmd.h"
#include "util.h"

#define DOMAIN_MAX 0x7fffffff

static void print_members(const json_t *vms, const json_t *names, long long domain)
{
	json_t *vm;
	size_t i;

	json_array_foreach(vms, i, vm)
		if (family_int(vm, "domain", 0) == domain)
			printf(" %lld(%s)", family_int(vm, "id", 0), memcmd_name(names, vm));
	printf("\n");
}

static int list(struct family *f, bool json)
{
	json_t *domains, *vms = NULL, *names, *d;
	size_t i;

	if (family_dump(f, EMYS_CMD_DOMAIN_GET, &domains) ||
	    family_dump(f, EMYS_CMD_VM_GET, &vms)) {
		msg("%s", family_error(f));
		json_decref(domains);
		return EXIT_FAIL;
	}
	if (json) {
		memcmd_json(domains);
		json_decref(vms);
		return EXIT_OK;
	}
	names = memcmd_names();
	printf("%10s %4s %8s %8s %8s %-11s %s\n", "DOMAIN", "VMS", "RESIDENT", "SHARED", "SAVED",
	       "ALGORITHM", "MEMBERS");
	json_array_foreach(domains, i, d) {
		printf("%10lld %4lld %8s %8s %8s %-11s", family_int(d, "id", 0),
		       family_int(d, "vms", 0), memcmd_size(memcmd_in(d, "counts", "resident")),
		       memcmd_size(memcmd_in(d, "counts", "shared")),
		       memcmd_size(memcmd_in(d, "counts", "saved")),
		       family_str(json_object_get(d, "policy"), "algorithm"));
		print_members(vms, names, family_int(d, "id", 0));
	}
	json_decref(names);
	json_decref(vms);
	json_decref(domains);
	return EXIT_OK;
}

static int move(struct family *f, const char *name, uint64_t domain)
{
	uint32_t id = memcmd_vm(f, name);

	if (!id)
		return EXIT_FAIL;
	return memcmd_act(f, EMYS_CMD_VM_SET,
			  json_pack("{s:I s:I}", "id", (json_int_t)id, "domain",
				    (json_int_t)domain));
}

static int create(struct family *f, uint64_t domain, int argc, char **argv)
{
	json_t *policy = memcmd_settings(&nl_dedup_policy, argc, argv);

	if (!policy)
		return EXIT_USAGE;
	return memcmd_act(f, EMYS_CMD_DOMAIN_SET,
			  json_pack("{s:I s:b s:o}", "id", (json_int_t)domain, "create", 1,
				    "policy", policy));
}

static int drop(struct family *f, uint64_t domain)
{
	return memcmd_act(f, EMYS_CMD_DOMAIN_SET,
			  json_pack("{s:I s:b}", "id", (json_int_t)domain, "remove", 1));
}

static int domain(int argc, char **argv)
{
	uint64_t id = 0;
	const char *verb;
	bool json = false;
	struct family *f;
	int status;

	argc = memcmd_options(&cmd_domain, argc, argv, &json, &status);
	if (argc < 0)
		return status;
	verb = argc > 1 ? argv[1] : "list";
	if (!((!strcmp(verb, "list") && argc <= 2) || (!strcmp(verb, "create") && argc >= 3) ||
	      (!strcmp(verb, "remove") && argc == 3) || (!strcmp(verb, "join") && argc == 4) ||
	      (!strcmp(verb, "leave") && argc == 3)))
		return command_usage(&cmd_domain);
	if ((!strcmp(verb, "create") || !strcmp(verb, "remove") || !strcmp(verb, "join")) &&
	    !memcmd_number("domain for several VMs", argv[!strcmp(verb, "join") ? 3 : 2],
			   DOMAIN_MAX, &id))
		return EXIT_USAGE;
	f = family_open_or_say();
	if (!f)
		return EXIT_FAIL;
	if (!strcmp(verb, "create"))
		status = create(f, id, argc - 3, argv + 3);
	else if (!strcmp(verb, "remove"))
		status = drop(f, id);
	else if (!strcmp(verb, "join") || !strcmp(verb, "leave"))
		status = move(f, argv[2], id);
	else
		status = list(f, json);
	family_close(f);
	return status;
}

const struct command cmd_domain = {
	.name = "domain",
	.run = domain,
	.usage = "domain [list | create DOMAIN [KEY=VALUE...] | remove DOMAIN | join VM DOMAIN | leave VM] [--json]",
	.summary = "show and choose which VMs may share pages",
	.help =
"  list     every domain with its members\n"
"  create   make one before a VM is in it, with settings as of vmctl dedup\n"
"  remove   take its settings away: the default's hold, and without a VM it is gone\n"
"  join     move a VM, by name or id, into a domain, which is made if there is none\n"
"  leave    move it back into the domain of its own\n"
"  -j, --json\n\n"
"DOMAIN is a number from 1 to 2147483647. VMs of one domain share equal pages; with\n"
"care a guest can find out what its neighbours there hold, so a domain is for VMs that\n"
"trust each other. A VM starts in a domain of its own. A user may let an own VM leave,\n"
"all else is root's.\n",
};
