// SPDX-License-Identifier: GPL-2.0-only
/* vmctl check: what this host can do, what is missing, and how to get it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <jansson.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host_cpu.h"
#include "kvm.h"
#include "util.h"
#include "vmctl.h"

#define FEATURE_CONTROL_LOCKED	(1u << 0)
#define FEATURE_CONTROL_VMXON	(1u << 2)

/* The report is one JSON document; the text for people is printed from it. */
struct check {
	const char *device;
	const char *module;
	json_t *doc;
	json_t *missing;
	bool usable;
};

static void miss(struct check *c, bool fatal, const char *what,
		 const char *how)
{
	json_array_append_new(c->missing,
			      json_pack("{s:s, s:s, s:b}", "what", what, "how",
					how, "fatal", fatal));
	if (fatal)
		c->usable = false;
}

static const char *known_word(enum host_known k)
{
	return k == HOST_YES ? "yes" : k == HOST_NO ? "no" : "unknown";
}

/* What the firmware's feature-control MSR allows. */
static const char *firmware_word(const struct host_cpu *cpu)
{
	if (!cpu->have_msrs)
		return "unknown";
	if (!(cpu->feature_control & FEATURE_CONTROL_LOCKED))
		return "not locked";
	return cpu->feature_control & FEATURE_CONTROL_VMXON ? "enabled" :
		"locked off";
}

static void check_cpu(struct check *c)
{
	bool emys = strcmp(c->module, "emys") == 0;
	json_t *features = json_object();
	struct host_cpu cpu;

	host_cpu_probe(&cpu);
	for (size_t i = 0; i < HOST_FEATURES && cpu.vmx; i++) {
		const struct host_feature *f = &cpu.feature[i];
		char what[64];

		json_object_set_new(features, f->name,
				    json_string(known_word(f->state)));
		if (emys && f->needed && f->state == HOST_NO) {
			snprintf(what, sizeof(what), "the processor has no %s",
				 f->name);
			miss(c, true, what, "emys needs it; use a newer processor (Westmere or later)");
		}
	}
	if (!cpu.vmx && !(cpu.svm && !emys))
		miss(c, true, "CPUID shows no VMX", cpu.hypervisor ?
		     "this machine is a guest: switch on nested virtualization for it on its host" :
		     "switch on \"Intel Virtualization Technology\" (VT-x) in the firmware set-up, or use an Intel processor that has it");
	if (cpu.vmx && !strcmp(firmware_word(&cpu), "locked off"))
		miss(c, true, "VMX is locked off by the firmware",
		     "switch on \"Intel Virtualization Technology\" (VT-x) in the firmware set-up, then power off and on");
	json_object_set_new(c->doc, "cpu",
			    json_pack("{s:s, s:s, s:b, s:b, s:s, s:o}",
				      "vendor", cpu.vendor, "model", cpu.model,
				      "vmx", cpu.vmx, "guest", cpu.hypervisor,
				      "firmware", firmware_word(&cpu),
				      "features", features));
}

static bool read_line(const char *path, char *buf, size_t size)
{
	FILE *f = fopen(path, "re");
	bool ok = f && fgets(buf, size, f);

	if (f)
		fclose(f);
	if (ok)
		buf[strcspn(buf, "\n")] = '\0';
	return ok;
}

static json_t *module_parameters(const char *module)
{
	json_t *out = json_object();
	char path[512], line[256];
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "/sys/module/%s/parameters", module);
	d = opendir(path);
	while (d && (e = readdir(d))) {
		snprintf(path, sizeof(path), "/sys/module/%s/parameters/%s",
			 module, e->d_name);
		if (e->d_name[0] != '.' && read_line(path, line, sizeof(line)))
			json_object_set_new(out, e->d_name, json_string(line));
	}
	if (d)
		closedir(d);
	return out;
}

/* "key: value" lines that emys shows in debugfs; root only. */
static json_t *module_caps(void)
{
	FILE *f = fopen("/sys/kernel/debug/emys/caps", "re");
	json_t *out = json_object();
	char line[512];

	while (f && fgets(line, sizeof(line), f)) {
		char *value = strchr(line, ':');

		if (!value)
			continue;
		*value++ = '\0';
		value += strspn(value, " \t");
		value[strcspn(value, "\n")] = '\0';
		json_object_set_new(out, line, json_string(value));
	}
	if (f)
		fclose(f);
	return out;
}

static bool check_module(struct check *c)
{
	char path[128];
	bool loaded;

	snprintf(path, sizeof(path), "/sys/module/%s", c->module);
	loaded = !access(path, F_OK);
	json_object_set_new(c->doc, "module",
			    json_pack("{s:s, s:b, s:o, s:o}", "name",
				      c->module, "loaded", loaded,
				      "parameters", module_parameters(c->module),
				      "caps", strcmp(c->module, "emys") ?
				      json_object() : module_caps()));
	return loaded;
}

static void check_caps(struct check *c, int fd, json_t *dev)
{
	json_t *caps = json_object();

	for (unsigned int i = 0; i < kvm_nr_caps; i++) {
		int v = kvm_cap(fd, kvm_caps[i].cap);
		char what[64];

		json_object_set_new(caps, kvm_caps[i].name, json_integer(v));
		if (v || !kvm_caps[i].needed)
			continue;
		snprintf(what, sizeof(what), "capability %s is missing",
			 kvm_caps[i].name);
		miss(c, true, what, "vmctl run needs it; use a newer module");
	}
	json_object_set_new(dev, "capabilities", caps);
}

/* Whether a VM can be made: only then is VMX really ours to use. */
static void check_create(struct check *c, int fd)
{
	int vm = kvm_ioctl_val(fd, KVM_CREATE_VM, 0);
	char what[128];

	if (vm >= 0) {
		close(vm);
		return;
	}
	snprintf(what, sizeof(what), "%s: cannot create a VM: %s", c->device,
		 strerror(-vm));
	miss(c, true, what, vm == -EBUSY ?
	     "another hypervisor holds VMX: unload it, or load emys in shared mode" :
	     "see dmesg");
}

static void check_device(struct check *c, bool loaded)
{
	json_t *dev = json_object();
	char what[256], hint[256];
	struct stat st;
	int fd, version;

	json_object_set_new(c->doc, "device", dev);
	json_object_set_new(dev, "path", json_string(c->device));
	json_object_set_new(dev, "present", json_boolean(!stat(c->device, &st)));
	if (!stat(c->device, &st)) {
		struct passwd *pw = getpwuid(st.st_uid);
		struct group *gr = getgrgid(st.st_gid);

		snprintf(what, sizeof(what), "%04o %s:%s", st.st_mode & 07777,
			 pw ? pw->pw_name : "?", gr ? gr->gr_name : "?");
		json_object_set_new(dev, "permissions", json_string(what));
	}
	fd = open(c->device, O_RDWR | O_CLOEXEC);
	json_object_set_new(dev, "usable", json_boolean(fd >= 0));
	if (fd < 0) {
		int err = errno;

		snprintf(what, sizeof(what), "%s: %s", c->device,
			 strerror(err));
		miss(c, true, what, err == ENOENT && loaded ?
		     "the module is loaded but udev made no node: see /proc/misc for its number" :
		     kvm_open_hint(c->device, err, hint, sizeof(hint)));
		return;
	}
	version = kvm_ioctl_val(fd, KVM_GET_API_VERSION, 0);
	json_object_set_new(dev, "api_version", json_integer(version));
	if (version == KVM_API_VERSION) {
		check_caps(c, fd, dev);
		check_create(c, fd);
	} else {
		snprintf(what, sizeof(what), "%s does not speak KVM API version %d",
			 c->device, KVM_API_VERSION);
		miss(c, true, what, "give the right --device");
	}
	close(fd);
}

static void print_words(const char *title, const json_t *object)
{
	const char *key;
	json_t *v;
	int col = 0;

	printf("%s\n", title);
	json_object_foreach((json_t *)object, key, v) {
		char item[128];

		if (json_is_integer(v))
			snprintf(item, sizeof(item), "%s %lld", key,
				 (long long)json_integer_value(v));
		else
			snprintf(item, sizeof(item), "%s %s", key,
				 json_string_value(v));
		if (col && col + strlen(item) > 76) {
			printf("\n");
			col = 0;
		}
		col += printf("  %s", item);
	}
	if (col)
		printf("\n");
}

static const char *str(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key)) ?: "";
}

static void print_text(const struct check *c)
{
	const json_t *cpu = json_object_get(c->doc, "cpu");
	const json_t *mod = json_object_get(c->doc, "module");
	const json_t *dev = json_object_get(c->doc, "device");
	const json_t *caps = json_object_get(dev, "capabilities");
	json_t *m;
	size_t i;

	printf("processor   %s, %s%s\n", str(cpu, "vendor"), str(cpu, "model"),
	       json_is_true(json_object_get(cpu, "guest")) ?
	       " (this machine is a guest)" : "");
	printf("VMX         %s, firmware: %s\n",
	       json_is_true(json_object_get(cpu, "vmx")) ? "yes" : "no",
	       str(cpu, "firmware"));
	printf("module      %s, %s\n", c->module,
	       json_is_true(json_object_get(mod, "loaded")) ? "loaded" :
	       "not loaded");
	printf("device      %s, %s\n", c->device,
	       !json_is_true(json_object_get(dev, "present")) ? "not there" :
	       str(dev, "permissions"));
	if (json_object_get(dev, "api_version"))
		printf("API         version %lld\n",
		       (long long)json_integer_value(json_object_get(dev, "api_version")));
	if (json_object_size(json_object_get(cpu, "features")))
		print_words("VMX features",
			    json_object_get(cpu, "features"));
	if (json_object_size(json_object_get(mod, "caps")))
		print_words("emys", json_object_get(mod, "caps"));
	if (json_object_size(json_object_get(mod, "parameters")))
		print_words("module parameters",
			    json_object_get(mod, "parameters"));
	if (caps)
		print_words("capabilities", caps);
	json_array_foreach(c->missing, i, m)
		printf("missing     %s\n            %s\n", str(m, "what"),
		       str(m, "how"));
	printf("verdict     %s\n", c->usable ? "usable" : "not usable");
}

static int check(int argc, char **argv)
{
	static const struct option options[] = {
		{ "device", required_argument, NULL, 'd' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct check c = { .device = DEFAULT_DEVICE, .usable = true };
	bool json = false;
	int opt;

	optind = 0;
	while ((opt = getopt_long(argc, argv, "d:jh", options, NULL)) != -1) {
		if (opt == 'd')
			c.device = optarg;
		else if (opt == 'j')
			json = true;
		else if (opt == 'h')
			return command_help(&cmd_check);
		else
			return command_usage(&cmd_check);
	}
	if (optind < argc) {
		msg("check: %s: not an option", argv[optind]);
		return command_usage(&cmd_check);
	}
	c.module = !strstr(c.device, "kvm") ? "emys" :
		   access("/sys/module/kvm_amd", F_OK) ? "kvm_intel" :
		   "kvm_amd";
	c.doc = json_object();
	c.missing = json_array();

	check_cpu(&c);
	check_device(&c, check_module(&c));
	json_object_set_new(c.doc, "missing", c.missing);
	json_object_set_new(c.doc, "usable", json_boolean(c.usable));
	if (json) {
		json_dumpf(c.doc, stdout, JSON_INDENT(2));
		printf("\n");
	} else {
		print_text(&c);
	}
	json_decref(c.doc);
	return c.usable ? EXIT_OK : EXIT_FAIL;
}

const struct command cmd_check = {
	.name = "check",
	.run = check,
	.usage = "check [--device PATH] [--json]",
	.summary = "tell what this host can do and what is missing",
	.help =
"  -d, --device PATH   /dev/emys (default), /dev/kvm, or another node\n"
"  -j, --json          the same as one JSON document\n\n"
"Exit status: 0 guests can run, 1 they cannot, 2 usage.\n"
"Run as root to see what the firmware allows and the module's debugfs lines.\n",
};
