// SPDX-License-Identifier: GPL-2.0-only
/* Rows of rules: build a vmcs12 and see what the checks say */

#include <stdlib.h>
#include <string.h>

#include "vmcs12_rows.h"

struct vmcs12 v;
struct vmcs12_env env;
struct nested_caps caps;

static void apply_env(u32 what, u64 val)
{
	switch (what) {
	case E_WIDTH:
		env.maxphyaddr = val;
		break;
	case E_IA32E:
		env.ia32e = val;
		break;
	case E_RTM:
		env.rtm = val;
		break;
	case E_SGX:
		env.sgx = val;
		break;
	case E_BUS_LOCK:
		env.bus_lock = val;
		break;
	case E_MISC:
		caps.misc = val;
		break;
	case E_EPT_CAP:
		caps.ept_vpid = val;
		break;
	case E_PROC_MAY:
		caps.proc.may = val;
		break;
	case E_ENTRY_MAY:
		caps.entry.may = val;
		break;
	case E_LINEAR:
		env.linear_bits = val;
		break;
	case V86:
		world_v86(&v);
		break;
	case REAL:
		world_real(&v);
		break;
	default:
		abort();
	}
}

struct verdict {
	const char *text[5];
};

static struct verdict judge(void)
{
	u64 qual;

	return (struct verdict){ {
		vmcs12_check_controls(&v, &env),
		vmcs12_check_host(&v, &env),
		vmcs12_check_guest_rules(&v, &env, VMCS12_RULES_REGISTERS, &qual),
		vmcs12_check_guest_rules(&v, &env, VMCS12_RULES_SEGMENTS, &qual),
		vmcs12_check_guest_rules(&v, &env, VMCS12_RULES_FLOW, &qual),
	} };
}

/* A field is read by the groups of rules that its change makes a difference to. */
static void write_field(u32 enc, int off, u64 val)
{
	struct verdict before = judge(), after;
	int i;

	vmcs12_set(&v, enc, off, val);
	after = judge();
	for (i = 0; i < 5; i++)
		expect(before.text[i] == after.text[i] || vmcs12_rules(enc) & BIT(i),
		       "field %#x: \"%s\", then \"%s\"", enc, before.text[i] ?: "",
		       after.text[i] ?: "");
}

void build(const struct change c[8])
{
	int i, off;

	world_init(&v, &env, &caps);
	for (i = 0; i < 8 && c[i].set; i++) {
		if (c[i].what >= E_WIDTH) {
			apply_env(c[i].what, c[i].val);
			continue;
		}
		off = vmcs12_find(c[i].what);
		expect(off > 0, "no field %#x", c[i].what);
		write_field(c[i].what, off, c[i].val);
	}
}

void expect_text(const char *got, const char *want)
{
	if (want)
		expect(got && !strcmp(got, want), "\"%s\", not \"%s\"", got ?: "passes", want);
	else
		expect(!got, "\"%s\" breaks", got);
}

const char *guest(u64 *qual)
{
	*qual = 99;
	return vmcs12_check_guest(&v, &env, qual);
}

static void expect_pass(const struct row *row)
{
	int failures = tap_failures;
	u64 qual;

	build(row->ok);
	expect_text(vmcs12_check_controls(&v, &env), NULL);
	expect_text(vmcs12_check_host(&v, &env), NULL);
	expect_text(guest(&qual), NULL);
	expect_eq(qual, 99);
	if (tap_failures > failures)
		printf("# when \"%s\" is kept\n", row->rule);
}

void run_controls(const struct row *rows, int n)
{
	int i;

	for (i = 0; i < n; i++) {
		expect_pass(&rows[i]);
		build(rows[i].bad);
		expect_text(vmcs12_check_controls(&v, &env), rows[i].rule);
	}
}

void run_host(const struct row *rows, int n)
{
	int i;

	for (i = 0; i < n; i++) {
		expect_pass(&rows[i]);
		build(rows[i].bad);
		expect_text(vmcs12_check_controls(&v, &env), NULL);
		expect_text(vmcs12_check_host(&v, &env), rows[i].rule);
	}
}

void run_guest(const struct row *rows, int n, u64 want)
{
	u64 qual;
	int i;

	for (i = 0; i < n; i++) {
		expect_pass(&rows[i]);
		build(rows[i].bad);
		expect_text(vmcs12_check_controls(&v, &env), NULL);
		expect_text(vmcs12_check_host(&v, &env), NULL);
		expect_text(guest(&qual), rows[i].rule);
		expect_eq(qual, want);
	}
}
