// SPDX-License-Identifier: GPL-2.0-only
/* Fuzz target: any content of a vmcs12, any environment, any capability MSRs */

/*
 * The input is a program: the VMM sets capability MSRs, L1 writes fields by their
 * encodings or bytes anywhere, on a VMCS that is valid or empty. The checks must
 * end; and of what passes them all, the rules hold once more, in another form.
 */

#include <string.h>

#include <linux/errno.h>

#include "../unit/vmcs12_world.h"
#include "fuzz.h"

#define BITS(x, high, low)	((x) >> (low) & ((2ULL << ((high) - (low))) - 1))

static void check_within(const struct nested_ctl c, const struct nested_ctl max)
{
	check(!(max.must & ~c.must), "%#x %#x", max.must, c.must);
	check(!(c.may & ~max.may), "%#x %#x", max.may, c.may);
}

/* However often the VMM writes, nothing is offered that was not before. */
static void set_caps(struct input *in, struct nested_caps *c, const struct nested_caps *max)
{
	u32 msr = 0x47e + take(in, 1) % 24;
	u64 val = take(in, 8), was = 0, now;
	int r;

	/* most values are far from what is allowed: change bits of what is there */
	if (!nested_caps_get(c, msr, &was) && val & 1)
		val = was ^ (1ULL << BITS(val, 13, 8)) ^ (val & 2 ? 1ULL << BITS(val, 21, 16) : 0);
	r = nested_caps_set(c, max, msr, val);
	check(!r || r == -EINVAL || r == -ENOENT, "%d", r);
	check((r == -ENOENT) == (msr < 0x480 || msr > 0x491), "%#x: %d", msr, r);
	if (r != -ENOENT) {
		check(!nested_caps_get(c, msr, &now), "%#x", msr);
		check(now == (r ? was : val), "%#x: %#llx, %#llx, %#llx", msr, was, val, now);
	}
	check_within(c->pin, max->pin);
	check_within(c->proc, max->proc);
	check_within(c->proc2, max->proc2);
	check_within(c->exit, max->exit);
	check_within(c->entry, max->entry);
	check(!(c->ept_vpid & ~max->ept_vpid) && !(c->vmfunc & ~max->vmfunc), "EPT, VMFUNC");
	check(c->cr0_fixed1 == max->cr0_fixed1 && c->cr4_fixed1 == max->cr4_fixed1, "FIXED1");
	check((c->cr0_fixed0 & max->cr0_fixed0) == max->cr0_fixed0, "CR0_FIXED0");
	check(BITS(c->basic, 30, 0) == VMCS12_REVISION, "revision");
}

/* What each group of rules says */
struct verdict {
	const char *text[5];
};

static struct verdict judge(const struct vmcs12 *v, const struct vmcs12_env *env)
{
	u64 qual;

	return (struct verdict){ {
		vmcs12_check_controls(v, env),
		vmcs12_check_host(v, env),
		vmcs12_check_guest_rules(v, env, VMCS12_RULES_REGISTERS, &qual),
		vmcs12_check_guest_rules(v, env, VMCS12_RULES_SEGMENTS, &qual),
		vmcs12_check_guest_rules(v, env, VMCS12_RULES_FLOW, &qual),
	} };
}

/* VMWRITE as L1 would, and VMREAD of it; groups that do not read the field do not care */
static void write_field(struct vmcs12 *v, const struct vmcs12_env *env, u32 enc, u64 val)
{
	struct verdict before = judge(v, env), after;
	int off = vmcs12_find(enc), bytes = vmcs_width(enc), i;
	static struct vmcs12 was;
	u64 full;

	if (off < 0) {
		check(off == -ENOENT && !vmcs12_rules(enc), "%d", off);
		return;
	}
	check(off >= 40 && off + bytes <= 998 && !(off % bytes), "%#x: %d", enc, off);
	check(!(enc & 0xffff9000), "%#x is reserved", enc);
	was = *v;
	vmcs12_set(v, enc, off, val);
	full = vmcs12_get(v, enc & ~1u, off);
	if (enc & 1) {
		check(bytes == 8 && vmcs12_get(v, enc, off) == (u32)val, "%#x", enc);
		check((u32)full == (u32)vmcs12_get(&was, enc & ~1u, off), "%#x: low half", enc);
	} else {
		check(full == (bytes == 8 ? val : val & ((1ULL << 8 * bytes) - 1)), "%#x", enc);
	}
	check(!memcmp(v, &was, off) &&
	      !memcmp((u8 *)v + off + bytes, (u8 *)&was + off + bytes, sizeof(was) - off - bytes),
	      "%#x changes other bytes", enc);
	after = judge(v, env);
	for (i = 0; i < 5; i++)
		check(before.text[i] == after.text[i] || vmcs12_rules(enc) & BIT(i),
		      "%#x: \"%s\", then \"%s\"", enc, before.text[i] ?: "", after.text[i] ?: "");
}

static bool is_canonical(u64 addr, const struct vmcs12_env *env)
{
	u64 top = addr >> (env->linear_bits - 1);

	return !top || top == ~0ULL >> (env->linear_bits - 1);
}

static bool is_phys(u64 addr, const struct vmcs12_env *env)
{
	return addr < 1ULL << env->maxphyaddr;
}

static bool is_page(u64 addr, const struct vmcs12_env *env)
{
	return is_phys(addr, env) && addr % 4096 == 0;
}

static bool bit(u64 x, int n)
{
	return x >> n & 1;
}

/* The secondary controls that caps.c offers where the CPU has all of them */
#define PROC2_OFFERED	0x02137bffu

/* Controls that passed: the addresses that the CPU or L0 would follow */
static void controls_hold(const struct vmcs12 *v, const struct vmcs12_env *env)
{
	u32 pin = v->pin_based_vm_exec_control, proc = v->cpu_based_vm_exec_control;
	u32 proc2 = bit(proc, 31) ? v->secondary_vm_exec_control : 0;

	check((pin & 0x16) == 0x16 && !(pin & ~0xff), "%#x", pin);
	check((proc & 0x04006172) == 0x04006172 && !bit(proc, 0) && !bit(proc, 17), "%#x", proc);
	check(!(proc2 & ~PROC2_OFFERED), "%#x", proc2);
	check(!(v->vm_exit_controls & ~0x007fffffu), "%#x", v->vm_exit_controls);
	check(!(v->vm_entry_controls & ~0x0000f3ffu), "%#x", v->vm_entry_controls);
	check(v->cr3_target_count <= 4, "%u", v->cr3_target_count);
	if (bit(proc, 25))
		check(is_page(v->io_bitmap_a, env) && is_page(v->io_bitmap_b, env), "I/O");
	if (bit(proc, 28))
		check(is_page(v->msr_bitmap, env), "MSR bitmap");
	if (bit(proc, 21))
		check(is_page(v->virtual_apic_page_addr, env), "virtual APIC");
	else
		check(!(proc2 & 0x310), "%#x without TPR shadow", proc2);
	if (bit(proc2, 0))
		check(is_page(v->apic_access_addr, env) && !bit(proc2, 4), "APIC access");
	if (bit(proc2, 1))
		check(is_phys(v->ept_pointer, env) && BITS(v->ept_pointer, 5, 3) == 3 &&
		      !BITS(v->ept_pointer, 11, 7) && BITS(v->ept_pointer, 2, 0) == 6, "EPTP");
	else
		check(!bit(proc2, 7) && !bit(proc2, 17), "%#x without EPT", proc2);
	if (bit(proc2, 5))
		check(v->virtual_processor_id, "VPID");
	if (bit(proc2, 9))
		check(bit(pin, 0), "virtual interrupts");
	if (bit(proc2, 13))
		check(v->vm_function_control <= 1, "VM functions");
	if (bit(proc2, 13) && v->vm_function_control)
		check(bit(proc2, 1) && is_page(v->eptp_list_address, env), "EPTP list");
	if (bit(proc2, 14))
		check(is_page(v->vmread_bitmap, env) && is_page(v->vmwrite_bitmap, env),
		      "bitmaps");
	if (bit(proc2, 17))
		check(is_page(v->pml_address, env), "PML");
	if (bit(proc2, 25))
		check(v->tsc_multiplier, "TSC");
	if (bit(pin, 7))
		check(bit(proc2, 9) && bit(v->vm_exit_controls, 15) && v->posted_intr_nv < 256 &&
		      is_phys(v->posted_intr_desc_addr, env), "posted interrupts");
	check(!bit(proc, 22) || bit(pin, 5), "NMI window");
	check(!bit(pin, 5) || bit(pin, 3), "virtual NMIs");
}

static void list_holds(u64 addr, u32 count, const struct vmcs12_env *env)
{
	u32 i;

	if (!count)
		return;
	for (i = 0; i < 64 && i < count; i++)
		check(is_phys(addr + i * 16ULL, env) && addr % 16 == 0, "entry %u", i);
	check(is_phys(addr + (count - 1) * 16ULL, env), "last entry");
}

/* Event to inject: what the CPU would deliver */
static void event_holds(const struct vmcs12 *v)
{
	u32 info = v->vm_entry_intr_info_field, vector = info & 0xff, type = BITS(info, 10, 8);

	if (!bit(info, 31))
		return;
	check(type != 1 && !BITS(info, 30, 12), "%#x", info);
	if (type == 3)
		check(vector < 32, "%#x", info);
	if (bit(info, 11))
		check(type == 3 && strchr("\x08\x0a\x0b\x0c\x0d\x0e\x11", vector) &&
		      v->vm_entry_exception_error_code < 0x10000, "%#x", info);
	if (type == 0)
		check(bit(v->guest_rflags, 9) && !(v->guest_interruptibility_info & 3),
		      "%#x", info);
	if (type == 2)
		check(vector == 2 && !(v->guest_interruptibility_info & 3), "%#x", info);
	if (type >= 4 && type <= 6)
		check(v->vm_entry_instruction_len < 16, "%u", v->vm_entry_instruction_len);
	check(v->guest_activity_state != 3, "no event wakes it");
}

static void host_holds(const struct vmcs12 *v, const struct vmcs12_env *env)
{
	u64 selectors = v->host_cs_selector | v->host_ss_selector | v->host_ds_selector |
			v->host_es_selector | v->host_fs_selector | v->host_gs_selector |
			v->host_tr_selector;

	check((v->host_cr0 & 0x80000021) == 0x80000021 && !(v->host_cr0 >> 32), "CR0");
	check(bit(v->host_cr4, 13) && !(v->host_cr4 & ~0xb767ffULL), "CR4");
	check(is_phys(v->host_cr3, env), "CR3");
	check(!(selectors & 7) && v->host_cs_selector && v->host_tr_selector, "selectors");
	check(is_canonical(v->host_fs_base, env) && is_canonical(v->host_gs_base, env) &&
	      is_canonical(v->host_tr_base, env) && is_canonical(v->host_gdtr_base, env) &&
	      is_canonical(v->host_idtr_base, env) &&
	      is_canonical(v->host_ia32_sysenter_esp, env) &&
	      is_canonical(v->host_ia32_sysenter_eip, env), "bases");
	check(bit(v->vm_exit_controls, 9) == env->ia32e, "address space");
	if (env->ia32e)
		check(bit(v->host_cr4, 5) && is_canonical(v->host_rip, env), "64-bit host");
	else
		check(!bit(v->vm_entry_controls, 9) && v->host_rip < 1ULL << 32 &&
		      v->host_ss_selector, "32-bit host");
	if (bit(v->vm_exit_controls, 21))
		check(!(v->host_ia32_efer & ~env->efer) &&
		      bit(v->host_ia32_efer, 8) == env->ia32e &&
		      bit(v->host_ia32_efer, 10) == env->ia32e, "EFER");
}

static void segment_holds(u32 ar, u32 limit, u64 base, bool v86, bool usable)
{
	if (v86) {
		check(ar == 0xf3 && limit == 0xffff && base <= 0xffff0, "%#x", ar);
		return;
	}
	if (!usable && bit(ar, 16))
		return;
	check(bit(ar, 0) && bit(ar, 4) && bit(ar, 7) && !BITS(ar, 11, 8) && !BITS(ar, 31, 17),
	      "%#x", ar);
	check(bit(ar, 15) ? BITS(limit, 11, 0) == 0xfff : limit < 0x100000, "%#x %#x", ar, limit);
}

static void guest_holds(const struct vmcs12 *v, const struct vmcs12_env *env)
{
	bool ia32e = bit(v->vm_entry_controls, 9), v86 = bit(v->guest_rflags, 17);
	bool free = bit(v->cpu_based_vm_exec_control, 31) && bit(v->secondary_vm_exec_control, 7);
	u32 state = v->guest_interruptibility_info;

	check(bit(v->guest_cr0, 5) && !(v->guest_cr0 >> 32), "CR0");
	check(free || (bit(v->guest_cr0, 0) && bit(v->guest_cr0, 31)), "CR0");
	check(bit(v->guest_cr0, 0) || !bit(v->guest_cr0, 31), "CR0.PG");
	check(bit(v->guest_cr4, 13) && !(v->guest_cr4 & ~0xb767ffULL), "CR4");
	check(is_phys(v->guest_cr3, env), "CR3");
	if (ia32e)
		check(bit(v->guest_cr0, 31) && bit(v->guest_cr4, 5) && !v86 && env->ia32e,
		      "IA-32e");
	else
		check(!bit(v->guest_cr4, 17) && v->guest_rip < 1ULL << 32, "legacy mode");
	if (bit(v->vm_entry_controls, 15))
		check(!(v->guest_ia32_efer & ~env->efer) && bit(v->guest_ia32_efer, 10) == ia32e,
		      "EFER");
	check(bit(v->guest_rflags, 1) && v->guest_rflags < 1 << 22, "RFLAGS");
	check(!v86 || bit(v->guest_cr0, 0), "virtual-8086 mode");
	segment_holds(v->guest_cs_ar_bytes, v->guest_cs_limit, v->guest_cs_base, v86, true);
	segment_holds(v->guest_ss_ar_bytes, v->guest_ss_limit, v->guest_ss_base, v86, false);
	segment_holds(v->guest_ds_ar_bytes, v->guest_ds_limit, v->guest_ds_base, v86, false);
	segment_holds(v->guest_es_ar_bytes, v->guest_es_limit, v->guest_es_base, v86, false);
	segment_holds(v->guest_fs_ar_bytes, v->guest_fs_limit, v->guest_fs_base, v86, false);
	segment_holds(v->guest_gs_ar_bytes, v->guest_gs_limit, v->guest_gs_base, v86, false);
	check(is_canonical(v->guest_fs_base, env) && is_canonical(v->guest_gs_base, env) &&
	      is_canonical(v->guest_tr_base, env) && is_canonical(v->guest_gdtr_base, env) &&
	      is_canonical(v->guest_idtr_base, env) &&
	      is_canonical(v->guest_sysenter_esp, env) &&
	      is_canonical(v->guest_sysenter_eip, env), "bases");
	check(!(v->guest_cs_base >> 32), "CS base");
	check((v->guest_tr_ar_bytes & 0xffff0f90) == 0x80, "TR");
	check((v->guest_tr_ar_bytes & 0xf) == 11 || (!ia32e && (v->guest_tr_ar_bytes & 0xf) == 3),
	      "TR type");
	check(!(v->guest_gdtr_limit >> 16) && !(v->guest_idtr_limit >> 16), "table limits");
	check((state & 3) != 3 && !(state & ~0x1bu), "%#x", state);
	check(!(state & 3) || !v->guest_activity_state, "%#x, %u", state, v->guest_activity_state);
	check(v->guest_activity_state != 1 || !BITS(v->guest_ss_ar_bytes, 6, 5),
	      "HLT in user mode");
	check(v->guest_activity_state < 4 && v->guest_activity_state != 2, "activity");
	if (v->vmcs_link_pointer != ~0ULL)
		check(is_page(v->vmcs_link_pointer, env) && v->vmcs_link_pointer != env->vmptr,
		      "link pointer");
}

/* Encodings by a dense number, so that an input byte mostly hits a field */
static u32 encoding(struct input *in)
{
	u32 n = take(in, 2);

	return bit(n, 15) ? take(in, 4) :
	       BITS(n, 1, 0) << 13 | BITS(n, 3, 2) << 10 | BITS(n, 8, 4) << 1 | (n >> 9 == 1);
}

static u64 value(struct input *in)
{
	u8 how = take(in, 1);

	switch (how & 3) {
	case 0:
		return take(in, 1);
	case 1:
		return take(in, 4);
	case 2:
		return 1ULL << BITS(how, 7, 2);
	default:
		return take(in, 8);
	}
}

static void check_all(const struct vmcs12 *v, const struct vmcs12_env *env)
{
	u64 qual = 77;
	const char *controls = vmcs12_check_controls(v, env);
	const char *host = vmcs12_check_host(v, env);
	const char *guest = vmcs12_check_guest(v, env, &qual);

	check(!controls || *controls, "no text");
	check(!host || *host, "no text");
	check(guest ? *guest && (!qual || (qual >= 2 && qual <= 4)) : qual == 77, "%llu", qual);
	vmcs12_check_vtpr(v, v->tpr_threshold >> 8);
	if (!controls) {
		controls_hold(v, env);
		list_holds(v->vm_exit_msr_store_addr, v->vm_exit_msr_store_count, env);
		list_holds(v->vm_exit_msr_load_addr, v->vm_exit_msr_load_count, env);
		list_holds(v->vm_entry_msr_load_addr, v->vm_entry_msr_load_count, env);
	}
	if (!host)
		host_holds(v, env);
	if (!controls && !host && !guest) {
		guest_holds(v, env);
		event_holds(v);
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct nested_caps caps;
	struct vmcs12_env env;
	struct vmcs12 v;

	world_init(&v, &env, &caps);
	/* an offer that this file does not know fails at once, and not by luck */
	check(caps.proc2.may == PROC2_OFFERED, "%#x", caps.proc2.may);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { .data = data, .size = size };
	static struct vmcs12 v;
	struct nested_caps caps, max;
	struct vmcs12_env env;
	u8 bits = take(&in, 1), flags = take(&in, 1);

	world_init(&v, &env, &caps);
	max = caps;
	env.maxphyaddr = 32 + BITS(bits, 7, 3) % 21;
	env.linear_bits = bit(flags, 0) ? 57 : 48;
	env.ia32e = !bit(flags, 1);
	env.rtm = bit(flags, 2);
	env.sgx = bit(flags, 3);
	env.bus_lock = bit(flags, 4);
	switch (bits & 3) {
	case 1:
		world_v86(&v);
		break;
	case 2:
		world_real(&v);
		break;
	case 3:
		memset(&v, 0, sizeof(v));
		break;
	}
	while (in.pos < in.size) {
		u8 op = take(&in, 1);

		if (op % 8 == 0) {
			set_caps(&in, &caps, &max);
		} else if (op % 8 == 1) {
			/* not by VMWRITE: L1 changes the region's memory itself */
			((u8 *)&v)[take(&in, 2) % sizeof(v)] = take(&in, 1);
		} else {
			u32 enc = encoding(&in);

			write_field(&v, &env, enc, value(&in));
		}
		if (op & 0x80)
			check_all(&v, &env);
	}
	check_all(&v, &env);
	return 0;
}
