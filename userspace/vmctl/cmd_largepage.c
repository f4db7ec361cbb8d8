// SPDX-License-Identifier: GPL-2.0-only
/* vmctl largepage: when large pages are broken, by VM and for all. */
#include <stdio.h>
#include <string.h>

#include "memcmd.h"
#include "util.h"

static int show(struct family *f, bool json)
{
	json_t *m = NULL, *vms, *vm, *names;
	size_t i;

	if (!family_do(f, EMYS_CMD_MODULE_GET, NULL, &m))
		return EXIT_FAIL;
	if (family_dump(f, EMYS_CMD_VM_GET, &vms)) {
		msg("%s", family_error(f));
		json_decref(m);
		return EXIT_FAIL;
	}
	if (json) {
		memcmd_json(json_pack("{s:O s:O s:o}", "reclaim", json_object_get(m, "reclaim"),
				      "stats", json_object_get(m, "stats"), "vms", vms));
		json_decref(m);
		return EXIT_OK;
	}
	names = memcmd_names();
	memcmd_print(&nl_reclaim_policy, json_object_get(m, "reclaim"), "");
	printf("\n");
	memcmd_print(&nl_reclaim_stats, json_object_get(m, "stats"), "");
	printf("\n%4s %-14s %-10s %6s %6s %7s %9s %9s %9s\n", "VM", "NAME", "POLICY", "LARGE",
	       "MADE", "BROKEN", "COLLAPSED", "LEAVES-2M", "LEAVES-4K");
	json_array_foreach(vms, i, vm)
		printf("%4lld %-14.14s %-9s%c %6lld %6lld %7lld %9lld %9lld %9lld\n",
		       family_int(vm, "id", 0), memcmd_name(names, vm), family_str(vm, "large"),
		       json_object_get(vm, "large-own") ? '!' : ' ',
		       memcmd_in(vm, "counts", "blocks"), memcmd_in(vm, "counts", "made"),
		       memcmd_in(vm, "counts", "broken"), memcmd_in(vm, "counts", "collapsed"),
		       family_int(vm, "leaves-large", 0), family_int(vm, "leaves-small", 0));
	json_decref(names);
	json_decref(vms);
	json_decref(m);
	return EXIT_OK;
}

static int set(struct family *f, int argc, char **argv)
{
	json_t *policy = memcmd_settings(&nl_reclaim_policy, argc, argv);

	if (!policy)
		return EXIT_USAGE;
	return memcmd_act(f, EMYS_CMD_MODULE_SET, json_pack("{s:o}", "reclaim", policy));
}

static int set_vm(struct family *f, const char *name, const char *policy)
{
	uint32_t id = memcmd_vm(f, name);

	if (!id)
		return EXIT_FAIL;
	return memcmd_act(f, EMYS_CMD_VM_SET,
			  json_pack("{s:I s:s}", "id", (json_int_t)id, "large", policy));
}

static int largepage(int argc, char **argv)
{
	const char *verb;
	bool json = false;
	struct family *f;
	int status;

	argc = memcmd_options(&cmd_largepage, argc, argv, &json, &status);
	if (argc < 0)
		return status;
	verb = argc > 1 ? argv[1] : "show";
	if (!((!strcmp(verb, "show") && argc <= 2) || (!strcmp(verb, "set") && argc > 2) ||
	      (!strcmp(verb, "vm") && argc == 4) || (!strcmp(verb, "round") && argc == 2)))
		return command_usage(&cmd_largepage);
	f = family_open_or_say();
	if (!f)
		return EXIT_FAIL;
	if (!strcmp(verb, "set"))
		status = set(f, argc - 2, argv + 2);
	else if (!strcmp(verb, "vm"))
		status = set_vm(f, argv[2], argv[3]);
	else if (!strcmp(verb, "round"))
		status = memcmd_act(f, EMYS_CMD_RECLAIM_ROUND, NULL);
	else
		status = show(f, json);
	family_close(f);
	return status;
}

const struct command cmd_largepage = {
	.name = "largepage",
	.run = largepage,
	.usage = "largepage [show | set KEY=VALUE... | vm VM POLICY | round] [--json]",
	.summary = "show and steer when large pages are broken",
	.help =
"  show    settings, figures and VMs; \"!\" marks a VM with a policy of its own\n"
"  set     change settings for all; what is not named stays\n"
"  vm      give one VM, by name or id, a policy of its own\n"
"  round   sample and do what the state of memory asks for, now\n"
"  -j, --json\n\n"
"POLICY, also the key \"large\":\n"
"  proactive  break cold large pages with something to share while memory is free\n"
"  never      keep them\n"
"  demand     break when memory is scarce, in order of address\n"
"  small      make none, and break what there is\n"
"  module     of one VM: the one for all again\n"
"Keys:\n"
"  budget          memory for all guests together; 0: what the host has\n"
"  min-free        memory to keep free; 0: by the size of the host\n"
"  up.STATE        permille of min-free above which a state is left for a better one;\n"
"  down.STATE      below which it is entered; STATE is clear, soft, hard or low\n"
"  sample-ms       period of the sampling\n"
"  sample-pages    pages to hash in a large page\n"
"  cold-samples    samples without an access that make it cold\n"
"  share-permille  samples with a partner that make it worth breaking\n"
"  storm           pages copied and refaulted in a second that are a page storm\n"
"Memory is in pages of 4K, or in bytes with K, M, G or T behind the number. A VM's\n"
"policy is its user's, all else is root's.\n",
};
