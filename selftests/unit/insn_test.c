// SPDX-License-Identifier: GPL-2.0-only
/* Unit tests of the instruction decoder and executor: forms and rules */

#include <stdlib.h>
#include <string.h>

#include <linux/bits.h>

#include "../../kmod/insn/insn.h"
#include "tap.h"

#define CF	0x1
#define ZF	0x40
#define DF	0x400

/* From insn_forms.S; the last has no bytes */
extern const struct form {
	const u8 *bytes;
	u64 length;
	u64 mode;
	const char *want;
	const char *text;
} insn_forms[];

static const char *const op_names[EMYS_OP_NR] = {
	[EMYS_OP_ADD] = "add", [EMYS_OP_OR] = "or", [EMYS_OP_ADC] = "adc",
	[EMYS_OP_SBB] = "sbb", [EMYS_OP_AND] = "and", [EMYS_OP_SUB] = "sub",
	[EMYS_OP_XOR] = "xor", [EMYS_OP_CMP] = "cmp", [EMYS_OP_BT] = "bt",
	[EMYS_OP_BTS] = "bts", [EMYS_OP_BTR] = "btr", [EMYS_OP_BTC] = "btc",
	[EMYS_OP_TEST] = "test", [EMYS_OP_NOT] = "not", [EMYS_OP_NEG] = "neg",
	[EMYS_OP_INC] = "inc", [EMYS_OP_DEC] = "dec", [EMYS_OP_MOV] = "mov",
	[EMYS_OP_MOVZX] = "movzx", [EMYS_OP_MOVSX] = "movsx",
	[EMYS_OP_MOVBE] = "movbe", [EMYS_OP_XCHG] = "xchg",
	[EMYS_OP_XADD] = "xadd", [EMYS_OP_CMPXCHG] = "cmpxchg",
	[EMYS_OP_CMPXCHG8B] = "cmpxchg8b",
	[EMYS_OP_ROL] = "rol", [EMYS_OP_ROR] = "ror", [EMYS_OP_RCL] = "rcl",
	[EMYS_OP_RCR] = "rcr", [EMYS_OP_SHL] = "shl", [EMYS_OP_SHR] = "shr",
	[EMYS_OP_SAR] = "sar", [EMYS_OP_SHLD] = "shld",
	[EMYS_OP_SHRD] = "shrd", [EMYS_OP_MUL] = "mul",
	[EMYS_OP_IMUL] = "imul", [EMYS_OP_DIV] = "div",
	[EMYS_OP_IDIV] = "idiv", [EMYS_OP_PUSH] = "push",
	[EMYS_OP_POP] = "pop",
	[EMYS_OP_SETCC] = "setcc", [EMYS_OP_CMOVCC] = "cmovcc",
	[EMYS_OP_STOS] = "stos", [EMYS_OP_LODS] = "lods",
	[EMYS_OP_MOVS] = "movs", [EMYS_OP_SCAS] = "scas",
	[EMYS_OP_CMPS] = "cmps", [EMYS_OP_INS] = "ins",
	[EMYS_OP_OUTS] = "outs",
};

static enum emys_insn_mode mode_of(const struct form *f)
{
	return f->mode == 16 ? EMYS_INSN_16 :
	       f->mode == 32 ? EMYS_INSN_32 : EMYS_INSN_64;
}

static int want_error(const struct form *f)
{
	return !strcmp(f->want, "-") ? -EOPNOTSUPP :
	       !strcmp(f->want, "ud") ? -EINVAL : 0;
}

/* Decode from a buffer of exactly @n bytes, so that ASan sees reads beyond */
static int decode(struct emys_insn *insn, const u8 *bytes, unsigned int n,
		  enum emys_insn_mode mode)
{
	u8 *copy = malloc(n);
	int ret;

	memcpy(copy, bytes, n);
	ret = emys_insn_decode(insn, copy, n, mode);
	free(copy);
	return ret;
}

static void test_forms(void)
{
	const struct form *f;
	int seen[EMYS_OP_NR] = {};
	int i;

	for (f = insn_forms; f->bytes; f++) {
		struct emys_insn insn;
		char access[8], got[32];
		int ret = decode(&insn, f->bytes, f->length, mode_of(f));

		expect(ret == want_error(f), "%llu-bit %s: returns %d, wanted %s",
		       f->mode, f->text, ret, f->want);
		if (ret || want_error(f))
			continue;
		expect(insn.length == f->length, "%llu-bit %s: length %d, not %llu",
		       f->mode, f->text, insn.length, f->length);
		snprintf(access, sizeof(access), "%s%s", insn.reads ? "r" : "",
			 insn.write ? "w" : "");
		snprintf(got, sizeof(got), "%s %s%d", op_names[insn.op], access,
			 insn.size);
		expect(!strcmp(got, f->want), "%llu-bit %s: got %s, want %s",
		       f->mode, f->text, got, f->want);
		seen[insn.op]++;
	}
	for (i = 0; i < EMYS_OP_NR; i++)
		expect(seen[i], "no form of %s was tested", op_names[i]);
}

/* Cut short anywhere, a good instruction asks for more bytes, and never lies */
static void test_short_fetch(void)
{
	const struct form *f;
	unsigned int n;

	for (f = insn_forms; f->bytes; f++) {
		struct emys_insn insn;

		if (want_error(f))
			continue;
		for (n = 0; n < f->length; n++) {
			int ret = decode(&insn, f->bytes, n, mode_of(f));

			expect(ret == -ENODATA, "%s cut to %u bytes: %d", f->text,
			       n, ret);
		}
	}
}

/* What follows an instruction has no influence on it */
static void test_trailing_bytes(void)
{
	const struct form *f;
	int fill;

	for (f = insn_forms; f->bytes; f++) {
		for (fill = 0; fill < 256; fill += 51) {
			struct emys_insn a, b;
			u8 bytes[32];
			int ret;

			memset(bytes, fill, sizeof(bytes));
			memcpy(bytes, f->bytes, f->length);
			ret = decode(&b, bytes, sizeof(bytes), mode_of(f));
			expect(ret == want_error(f), "%s: %d", f->text, ret);
			if (ret)
				continue;
			decode(&a, f->bytes, f->length, mode_of(f));
			expect(!memcmp(&a, &b, sizeof(a)), "%s: differs", f->text);
		}
	}
}

/* 15 bytes are an instruction, 16 are #GP, however they come about */
static void test_length_limit(void)
{
	const struct form *f;
	unsigned int pad;

	for (f = insn_forms; f->bytes; f++) {
		if (want_error(f))
			continue;
		for (pad = 0; pad <= 15; pad++) {
			struct emys_insn insn;
			u8 bytes[64];
			int ret, want;

			/* an override that is there already, or makes no change */
			memset(bytes, 0x3e, pad);
			memcpy(bytes + pad, f->bytes, f->length);
			want = pad + f->length <= 15 ? 0 : -E2BIG;
			ret = decode(&insn, bytes, pad + f->length, mode_of(f));
			expect(ret == want, "%s with %u prefixes: %d", f->text,
			       pad, ret);
			if (!ret)
				expect_eq(insn.length, pad + f->length);
			/* at the limit there is nothing more to fetch */
			ret = decode(&insn, bytes, 15, mode_of(f));
			expect(ret == want, "%s with %u prefixes, 15 bytes: %d",
			       f->text, pad, ret);
		}
	}
}

struct address_case {
	enum emys_insn_mode mode;
	u8 bytes[12];
	u8 n;
	u8 seg;
	u64 offset;
};

/* Registers in these tests: each has a value that tells its name */
static const struct emys_insn_cpu distinct = {
	.gpr = {
		0x1111111111110010, 0x2222222222220020, 0x3333333333330030,
		0x4444444444440040, 0x5555555555550050, 0x6666666666660060,
		0x7777777777770070, 0x8888888888880080, 0x9000000000000090,
		0xa0000000000000a0, 0xb0000000000000b0, 0xc0000000000000c0,
		0xd0000000000000d0, 0xe0000000000000e0, 0xf0000000000000f0,
		0xff000000000000ff,
	},
	.rip = 0xfffffffffffffff0,
	.rflags = 2,
};

static void test_addresses(void)
{
	enum { ES = EMYS_SEG_ES, CS = EMYS_SEG_CS, SS = EMYS_SEG_SS,
	       DS = EMYS_SEG_DS, FS = EMYS_SEG_FS, GS = EMYS_SEG_GS };
	static const struct address_case t[] = {
		/* 16-bit forms; sums wrap at 64 KiB */
		{ EMYS_INSN_16, { 0x8a, 0x00 }, 2, DS, 0x00b0 },	/* BX+SI */
		{ EMYS_INSN_16, { 0x8a, 0x01 }, 2, DS, 0x00c0 },	/* BX+DI */
		{ EMYS_INSN_16, { 0x8a, 0x02 }, 2, SS, 0x00d0 },	/* BP+SI */
		{ EMYS_INSN_16, { 0x8a, 0x03 }, 2, SS, 0x00e0 },	/* BP+DI */
		{ EMYS_INSN_16, { 0x8a, 0x04 }, 2, DS, 0x0070 },	/* SI */
		{ EMYS_INSN_16, { 0x8a, 0x05 }, 2, DS, 0x0080 },	/* DI */
		{ EMYS_INSN_16, { 0x8a, 0x06, 0x34, 0x92 }, 4, DS, 0x9234 },
		{ EMYS_INSN_16, { 0x8a, 0x07 }, 2, DS, 0x0040 },	/* BX */
		{ EMYS_INSN_16, { 0x8a, 0x46, 0xff }, 3, SS, 0x005f },	/* BP-1 */
		{ EMYS_INSN_16, { 0x8a, 0x47, 0xbf }, 3, DS, 0xffff },
		{ EMYS_INSN_16, { 0x8a, 0x87, 0xc0, 0xff }, 4, DS, 0x0000 },
		{ EMYS_INSN_16, { 0x26, 0x8a, 0x02 }, 3, ES, 0x00d0 },
		{ EMYS_INSN_16, { 0x2e, 0x8a, 0x02 }, 3, CS, 0x00d0 },
		{ EMYS_INSN_16, { 0x36, 0x8a, 0x04 }, 3, SS, 0x0070 },
		{ EMYS_INSN_16, { 0x3e, 0x8a, 0x02 }, 3, DS, 0x00d0 },
		{ EMYS_INSN_16, { 0x64, 0x8a, 0x02 }, 3, FS, 0x00d0 },
		{ EMYS_INSN_16, { 0x65, 0x8a, 0x02 }, 3, GS, 0x00d0 },
		{ EMYS_INSN_16, { 0x65, 0x26, 0x8a, 0x02 }, 4, ES, 0x00d0 },
		{ EMYS_INSN_16, { 0xa0, 0x34, 0x92 }, 3, DS, 0x9234 },
		{ EMYS_INSN_16, { 0x67, 0x8a, 0x04, 0x24 }, 4, SS, 0x55550050 },
		/* 32-bit */
		{ EMYS_INSN_32, { 0x8a, 0x00 }, 2, DS, 0x11110010 },
		{ EMYS_INSN_32, { 0x8a, 0x45, 0x80 }, 3, SS, 0x6665ffe0 },
		{ EMYS_INSN_32, { 0x8a, 0x04, 0x24 }, 3, SS, 0x55550050 },
		{ EMYS_INSN_32, { 0x8a, 0x04, 0xfb }, 3, DS, 0x88840440 },
		{ EMYS_INSN_32, { 0x8a, 0x04, 0x2b }, 3, DS, 0xaaaa00a0 },
		{ EMYS_INSN_32, { 0x8a, 0x05, 0, 0, 0, 0x80 }, 6, DS, 0x80000000 },
		{ EMYS_INSN_32, { 0x8a, 0x80, 0, 0, 0, 0xf0 }, 6, DS, 0x01110010 },
		{ EMYS_INSN_32, { 0xa0, 0, 0, 0, 0x80 }, 5, DS, 0x80000000 },
		{ EMYS_INSN_32, { 0x67, 0x8a, 0x02 }, 3, SS, 0x00d0 },
		{ EMYS_INSN_32, { 0x8a, 0x2c, 0x2d, 4, 0, 0, 0 }, 7, DS, 0x66660064 },
		/* 64-bit: only FS and GS override */
		{ EMYS_INSN_64, { 0x8a, 0x00 }, 2, DS, 0x1111111111110010 },
		{ EMYS_INSN_64, { 0x41, 0x8a, 0x00 }, 3, DS, 0x9000000000000090 },
		{ EMYS_INSN_64, { 0x41, 0x8a, 0x04, 0x24 }, 4, DS, 0xd0000000000000d0 },
		{ EMYS_INSN_64, { 0x41, 0x8a, 0x45, 0xff }, 4, DS, 0xe0000000000000df },
		{ EMYS_INSN_64, { 0x8a, 0x04, 0x24 }, 3, SS, 0x5555555555550050 },
		{ EMYS_INSN_64, { 0x42, 0x8a, 0x04, 0xa0 }, 4, DS, 0x5111111111110350 },
		{ EMYS_INSN_64, { 0x8a, 0x04, 0x25, 0, 0, 0, 0x80 }, 7, DS, 0xffffffff80000000 },
		{ EMYS_INSN_64, { 0x67, 0x8a, 0x04, 0x25, 0, 0, 0, 0x80 }, 8, DS, 0x80000000 },
		{ EMYS_INSN_64, { 0x8a, 0x05, 0x10, 0, 0, 0 }, 6, DS, 0x6 },
		{ EMYS_INSN_64, { 0xc6, 0x05, 0x10, 0, 0, 0, 9 }, 7, DS, 0x7 },
		{ EMYS_INSN_64, { 0x67, 0x8a, 0x05, 0, 0, 0, 0xf0 }, 7, DS, 0xeffffff7 },
		{ EMYS_INSN_64, { 0x26, 0x8a, 0x00 }, 3, DS, 0x1111111111110010 },
		{ EMYS_INSN_64, { 0x64, 0x2e, 0x8a, 0x00 }, 4, FS, 0x1111111111110010 },
		{ EMYS_INSN_64, { 0x65, 0xa0, 8, 7, 6, 5, 4, 3, 2, 1 }, 10, GS,
		  0x0102030405060708 },
		{ EMYS_INSN_64, { 0x67, 0x8a, 0x00 }, 3, DS, 0x11110010 },
		/* bit tests reach beyond: EAX = 0x11110010, AX = 0x10, bit / size */
		{ EMYS_INSN_64, { 0x0f, 0xa3, 0x03 }, 3, DS, 0x4444444446662040 },
		{ EMYS_INSN_64, { 0x66, 0x0f, 0xa3, 0x03 }, 4, DS, 0x4444444444440042 },
		{ EMYS_INSN_64, { 0x4c, 0x0f, 0xa3, 0x3b }, 4, DS, 0x4424444444440058 },
		/* strings */
		{ EMYS_INSN_64, { 0xac }, 1, DS, 0x7777777777770070 },
		{ EMYS_INSN_64, { 0x65, 0xac }, 2, GS, 0x7777777777770070 },
		{ EMYS_INSN_64, { 0x65, 0xaa }, 2, ES, 0x8888888888880080 },
		{ EMYS_INSN_32, { 0x2e, 0x6e }, 2, CS, 0x77770070 },
		{ EMYS_INSN_32, { 0x2e, 0x6c }, 2, ES, 0x88880080 },
		{ EMYS_INSN_32, { 0x67, 0xa4 }, 2, ES, 0x0080 },
	};
	unsigned int i;

	for (i = 0; i < sizeof(t) / sizeof(*t); i++) {
		struct emys_insn insn;
		u64 offset;
		int ret = decode(&insn, t[i].bytes, t[i].n, t[i].mode);

		expect(!ret && insn.length == t[i].n, "row %u: %d", i, ret);
		if (ret)
			continue;
		offset = emys_insn_offset(&insn, &distinct, 0);
		expect(offset == t[i].offset, "row %u: %#llx, not %#llx", i,
		       offset, t[i].offset);
		expect(insn.mem[0].seg == t[i].seg, "row %u: segment %d, not %d",
		       i, insn.mem[0].seg, t[i].seg);
	}
}

/* The second operand of MOVS and CMPS: source, and its override */
static void test_string_source(void)
{
	struct emys_insn insn;

	expect_eq(decode(&insn, (u8[]){ 0x64, 0xa5 }, 2, EMYS_INSN_64), 0);
	expect_eq(insn.mem[0].seg, EMYS_SEG_ES);
	expect_eq(insn.mem[1].seg, EMYS_SEG_FS);
	expect_eq(insn.reads, 2);
	expect_eq(emys_insn_offset(&insn, &distinct, 0), distinct.gpr[7]);
	expect_eq(emys_insn_offset(&insn, &distinct, 1), distinct.gpr[6]);
	expect_eq(decode(&insn, (u8[]){ 0x67, 0xa6 }, 2, EMYS_INSN_64), 0);
	expect_eq(insn.mem[1].seg, EMYS_SEG_DS);
	expect_eq(insn.reads, 3);
	expect_eq(emys_insn_offset(&insn, &distinct, 1), 0x77770070);
}

/* One element at a time; the address size decides how much of a register moves */
static void test_rep_steps(void)
{
	static const struct rep_case {
		enum emys_insn_mode mode;
		u8 bytes[3];
		u64 size, mask;
	} t[] = {
		{ EMYS_INSN_16, { 0xf3, 0xab }, 2, 0xffff },
		{ EMYS_INSN_16, { 0xf3, 0x67, 0xab }, 2, 0xffffffff },
		{ EMYS_INSN_32, { 0xf3, 0xab }, 4, 0xffffffff },
		{ EMYS_INSN_32, { 0xf2, 0x67, 0xab }, 4, 0xffff },
		{ EMYS_INSN_64, { 0xf3, 0x48, 0xab }, 8, ~0ULL },
		{ EMYS_INSN_64, { 0xf3, 0x67, 0xab }, 4, 0xffffffff },
	};
	unsigned int i, n;

	for (i = 0; i < 2 * sizeof(t) / sizeof(*t); i++) {
		const struct rep_case *c = &t[i / 2];
		bool down = i % 2;
		u64 keep = c->mask == 0xffff ? ~c->mask : 0;
		struct emys_insn_cpu cpu = distinct;
		struct emys_insn_result res;
		struct emys_insn insn;
		u64 in[2] = {};
		u64 rdi = cpu.gpr[EMYS_RDI];

		cpu.rip = 0x1000;
		cpu.gpr[EMYS_RCX] = (distinct.gpr[EMYS_RCX] & ~c->mask) | 3;
		cpu.rflags = 2 | (down ? DF : 0);
		expect_eq(decode(&insn, c->bytes, c->bytes[2] ? 3 : 2, c->mode), 0);
		for (n = 3; n; n--) {
			expect_eq(emys_insn_left(&insn, &cpu), n);
			emys_insn_execute(&insn, &cpu, in, NULL, &res);
			expect(res.write, "no write");
			expect_eq(res.again, n > 1);
			cpu = res.cpu;
			expect_eq(cpu.rip, 0x1000 + (n > 1 ? 0 : insn.length));
			rdi += down ? -c->size : c->size;
			expect_eq(cpu.gpr[EMYS_RDI], (rdi & c->mask) |
				  (distinct.gpr[EMYS_RDI] & keep));
		}
		/* no element: no access, but the instruction is over */
		expect_eq(emys_insn_left(&insn, &cpu), 0);
		cpu.rip = 0x1000;
		emys_insn_execute(&insn, &cpu, in, NULL, &res);
		expect(!res.write && !res.again, "count 0 did something");
		expect_eq(res.cpu.gpr[EMYS_RDI], cpu.gpr[EMYS_RDI]);
		expect_eq(res.cpu.rip, 0x1000 + insn.length);
	}
}

/* Port strings: the value passes through, 16-bit registers wrap */
static void test_port_strings(void)
{
	struct emys_insn_cpu cpu = distinct;
	struct emys_insn_result res;
	struct emys_insn insn;
	u64 in[2] = { 0xabcdef, 0 };

	cpu.gpr[EMYS_RDI] = 0xffff;
	cpu.gpr[EMYS_RCX] = 0x10001;
	cpu.rip = 0xfffe;
	expect_eq(decode(&insn, (u8[]){ 0xf3, 0x6c }, 2, EMYS_INSN_16), 0);
	expect_eq(insn.reads, 0);
	emys_insn_execute(&insn, &cpu, in, NULL, &res);
	expect_eq(res.write, 1);
	expect_eq(res.out[0], 0xef);
	expect_eq(res.again, 0);
	expect_eq(res.cpu.gpr[EMYS_RDI], 0);
	expect_eq(res.cpu.gpr[EMYS_RCX], 0x10000);

	expect_eq(decode(&insn, (u8[]){ 0x6f }, 1, EMYS_INSN_16), 0);
	expect_eq(insn.reads, 1);
	emys_insn_execute(&insn, &cpu, in, NULL, &res);
	expect_eq(res.write, 1);
	expect_eq(res.out[0], 0xcdef);
	expect_eq(res.cpu.gpr[EMYS_RSI], cpu.gpr[EMYS_RSI] + 2);
}

/* REPE and REPNE stop at the right element */
static void test_rep_compare(void)
{
	static const struct {
		u8 prefix;
		u64 value;
		bool again;
	} t[] = {
		{ 0xf3, 7, true }, { 0xf3, 8, false },
		{ 0xf2, 7, false }, { 0xf2, 8, true },
	};
	unsigned int i;

	for (i = 0; i < 4; i++) {
		struct emys_insn_cpu cpu = { .gpr = { [EMYS_RAX] = 7, [EMYS_RCX] = 5 } };
		struct emys_insn_result res;
		struct emys_insn insn;
		u64 in[2] = { t[i].value, 7 };

		expect_eq(decode(&insn, (u8[]){ t[i].prefix, 0xae }, 2, EMYS_INSN_64), 0);
		emys_insn_execute(&insn, &cpu, in, NULL, &res);
		expect_eq(res.again, t[i].again);
		expect_eq(res.cpu.gpr[EMYS_RCX], 4);
		expect_eq(!!(res.cpu.rflags & ZF), t[i].value == 7);
		expect_eq(res.write, 0);
		expect_eq(decode(&insn, (u8[]){ t[i].prefix, 0xa6 }, 2, EMYS_INSN_64), 0);
		emys_insn_execute(&insn, &cpu, in, NULL, &res);
		expect_eq(res.again, t[i].again);
		/* memory 1 minus memory 0: 7 - 8 borrows */
		expect_eq(res.cpu.rflags & CF, t[i].value == 8);
	}
}

/* What was read beyond the size of the access has no influence */
static void test_dirty_input(void)
{
	const struct form *f;

	for (f = insn_forms; f->bytes; f++) {
		u64 clean[2] = { 0x5a, 0 }, dirty[2] = { 0x5a, 0 };
		u64 vec[2] = { 0x0123456789abcdef, 0xfedcba9876543210 };
		struct emys_insn_result a, b;
		struct emys_insn insn;

		if (decode(&insn, f->bytes, f->length, mode_of(f)))
			continue;
		if (insn.size < 8) {
			dirty[0] |= ~0ULL << (8 * insn.size);
			dirty[1] |= ~0ULL << (8 * insn.size);
		}
		emys_insn_execute(&insn, &distinct, clean, vec, &a);
		emys_insn_execute(&insn, &distinct, dirty, vec, &b);
		expect(!memcmp(&a, &b, sizeof(a)), "%s: differs", f->text);
		if (insn.size < 8)
			expect(!(a.out[0] >> (8 * insn.size)), "%s: %#llx is too wide",
			       f->text, a.out[0]);
	}
}

static void test_sse(void)
{
	u64 in[2] = { 0x1122334455667788, 0x99aabbccddeeff00 };
	struct emys_insn_result res;
	struct emys_insn insn;

	/* movdqu load: all 16 */
	expect_eq(decode(&insn, (u8[]){ 0xf3, 0x44, 0x0f, 0x6f, 0x0b }, 5, EMYS_INSN_64), 0);
	expect_eq(insn.vec, 1);
	expect_eq(insn.reg, 9);
	emys_insn_execute(&insn, &distinct, in, NULL, &res);
	expect(res.vec_write && !res.write, "wrong direction");
	expect_eq(res.vec[0], in[0]);
	expect_eq(res.vec[1], in[1]);
	expect(!memcmp(res.cpu.gpr, distinct.gpr, sizeof(distinct.gpr)), "GPR changed");
	/* movd load: the rest becomes zero */
	expect_eq(decode(&insn, (u8[]){ 0x66, 0x0f, 0x6e, 0x0b }, 4, EMYS_INSN_64), 0);
	emys_insn_execute(&insn, &distinct, in, NULL, &res);
	expect_eq(res.vec[0], 0x55667788);
	expect_eq(res.vec[1], 0);
	/* movq store: the lower half */
	expect_eq(decode(&insn, (u8[]){ 0x66, 0x0f, 0xd6, 0x0b }, 4, EMYS_INSN_64), 0);
	emys_insn_execute(&insn, &distinct, (u64[2]){}, in, &res);
	expect(res.write && !res.vec_write, "wrong direction");
	expect_eq(insn.size, 8);
	expect_eq(res.out[0], in[0]);
	expect_eq(res.out[1], 0);
	/* movaps store */
	expect_eq(decode(&insn, (u8[]){ 0x0f, 0x29, 0x0b }, 3, EMYS_INSN_64), 0);
	emys_insn_execute(&insn, &distinct, (u64[2]){}, in, &res);
	expect_eq(res.out[0], in[0]);
	expect_eq(res.out[1], in[1]);
}

/* Where the stack is: SS.B counts, neither the address size nor a segment prefix */
static void test_stack(void)
{
	static const struct stack_case {
		enum emys_insn_mode mode;
		bool big;
		u8 bytes[4], n;
		u64 rsp, offset, after;
		u8 stack;	/* which memory operand it is */
	} t[] = {
		{ EMYS_INSN_64, false, { 0x50 }, 1, 0x100000000, 0xfffffff8, 0xfffffff8 },
		{ EMYS_INSN_64, false, { 0x67, 0x50 }, 2, 0, -8ULL, -8ULL },
		{ EMYS_INSN_64, false, { 0x66, 0x6a, 1 }, 3, 0, -2ULL, -2ULL },
		{ EMYS_INSN_64, true, { 0x58 }, 1, -8ULL, -8ULL, 0 },
		{ EMYS_INSN_32, true, { 0x50 }, 1, 0x10000, 0xfffc, 0xfffc },
		{ EMYS_INSN_32, true, { 0x67, 0x50 }, 2, 0, 0xfffffffc, 0xfffffffc },
		{ EMYS_INSN_32, true, { 0x26, 0x66, 0x50 }, 3, 0x10000, 0xfffe, 0xfffe },
		{ EMYS_INSN_32, false, { 0x50 }, 1, 0x70000, 0xfffc, 0x7fffc },
		{ EMYS_INSN_32, false, { 0x58 }, 1, 0x7fffc, 0xfffc, 0x70000 },
		{ EMYS_INSN_16, false, { 0x50 }, 1, 0x70001, 0xffff, 0x7ffff },
		{ EMYS_INSN_16, false, { 0x67, 0x50 }, 2, 0x70000, 0xfffe, 0x7fffe },
		{ EMYS_INSN_16, true, { 0x50 }, 1, 0x70000, 0x6fffe, 0x6fffe },
		{ EMYS_INSN_16, true, { 0x66, 0x68, 1 }, 6, 0x70000, 0x6fffc, 0x6fffc },
		{ EMYS_INSN_32, false, { 0xff, 0x30 }, 2, 0x70000, 0xfffc, 0x7fffc },
		{ EMYS_INSN_32, false, { 0x8f, 0x00 }, 2, 0x7fffe, 0xfffe, 0x70002, 1 },
	};
	struct emys_insn_cpu cpu = distinct;
	struct emys_insn_result res;
	struct emys_insn insn;
	unsigned int i;

	for (i = 0; i < sizeof(t) / sizeof(*t); i++) {
		u8 bytes[8] = {};

		memcpy(bytes, t[i].bytes, 4);
		expect_eq(decode(&insn, bytes, t[i].n, t[i].mode), 0);
		cpu.ss_big = t[i].big;
		cpu.gpr[EMYS_RSP] = t[i].rsp;
		expect(insn.mem[t[i].stack].stack && !insn.mem[!t[i].stack].stack,
		       "row %u: no stack", i);
		expect_eq(insn.mem[t[i].stack].seg, EMYS_SEG_SS);
		expect(emys_insn_offset(&insn, &cpu, t[i].stack) == t[i].offset,
		       "row %u: %#llx, not %#llx", i,
		       emys_insn_offset(&insn, &cpu, t[i].stack), t[i].offset);
		emys_insn_execute(&insn, &cpu, (u64[2]){}, NULL, &res);
		expect(res.cpu.gpr[EMYS_RSP] == t[i].after, "row %u: RSP %#llx, not %#llx",
		       i, res.cpu.gpr[EMYS_RSP], t[i].after);
	}

	/* pop 4(%esp) addresses with the new ESP, which with a stack of SP wrapped */
	expect_eq(decode(&insn, (u8[]){ 0x8f, 0x44, 0x24, 4 }, 4, EMYS_INSN_32), 0);
	cpu.gpr[EMYS_RSP] = 0x7fffe;
	cpu.ss_big = false;
	expect_eq(emys_insn_offset(&insn, &cpu, 0), 0x70006);
	cpu.ss_big = true;
	expect_eq(emys_insn_offset(&insn, &cpu, 0), 0x80006);
	/* push 4(%esp) with the old one */
	expect_eq(decode(&insn, (u8[]){ 0xff, 0x74, 0x24, 4 }, 4, EMYS_INSN_32), 0);
	expect_eq(emys_insn_offset(&insn, &cpu, 1), 0x80002);

	/* what is pushed and popped: immediates are extended, RSP is the old one */
	emys_insn_execute(&insn, &cpu, (u64[2]){ 1, 0x1122334455667788 }, NULL, &res);
	expect_eq(res.out[0], 0x55667788);
	expect_eq(decode(&insn, (u8[]){ 0x6a, 0x80 }, 2, EMYS_INSN_64), 0);
	emys_insn_execute(&insn, &cpu, (u64[2]){}, NULL, &res);
	expect_eq(res.out[0], -128ULL);
	expect_eq(decode(&insn, (u8[]){ 0x54 }, 1, EMYS_INSN_64), 0);
	emys_insn_execute(&insn, &cpu, (u64[2]){}, NULL, &res);
	expect_eq(res.out[0], cpu.gpr[EMYS_RSP]);
	expect_eq(decode(&insn, (u8[]){ 0x5c }, 1, EMYS_INSN_64), 0);
	emys_insn_execute(&insn, &cpu, (u64[2]){ 0x1234567890 }, NULL, &res);
	expect_eq(res.cpu.gpr[EMYS_RSP], 0x1234567890);
	expect_eq(res.write, 0);
}

/* DIV and IDIV: the largest quotients that fit, the smallest that do not, zero */
static void test_divide(void)
{
	static const struct {
		u8 bytes[3], n;
		u64 rdx, rax, by;
		bool error;
		u64 quotient, remainder;
	} t[] = {
		{ { 0xf7, 0x33 }, 2, 0, 100, 7, false, 14, 2 },
		{ { 0xf7, 0x33 }, 2, 0, 100, 0, true },
		{ { 0xf7, 0x33 }, 2, 6, 0xffffffff, 7, false, 0xffffffff, 6 },
		{ { 0xf7, 0x33 }, 2, 7, 0, 7, true },
		{ { 0x48, 0xf7, 0x33 }, 3, -2ULL, -1ULL, -1ULL, false, -1ULL, -2ULL },
		{ { 0x48, 0xf7, 0x33 }, 3, -1ULL, 0, -1ULL, true },
		{ { 0x48, 0xf7, 0x3b }, 3, -1ULL, -100ULL, 7, false, -14ULL, -2ULL },
		{ { 0x48, 0xf7, 0x3b }, 3, 0, 100, -7ULL, false, -14ULL, 2 },
		{ { 0x48, 0xf7, 0x3b }, 3, -1ULL, 1ULL << 63, 1, false, 1ULL << 63, 0 },
		{ { 0x48, 0xf7, 0x3b }, 3, -1ULL, 1ULL << 63, -1ULL, true },
		{ { 0x48, 0xf7, 0x3b }, 3, 0, 1ULL << 63, 1, true },
		{ { 0xf7, 0x3b }, 2, 0xffffffff, 0x80000000, 0xffffffff, true },
		{ { 0xf7, 0x3b }, 2, 0, 0x7fffffff, 0xffffffff, false, 0x80000001, 0 },
	};
	struct emys_insn_result res;
	struct emys_insn insn;
	unsigned int i;

	for (i = 0; i < sizeof(t) / sizeof(*t); i++) {
		struct emys_insn_cpu cpu = distinct;

		cpu.gpr[EMYS_RAX] = t[i].rax;
		cpu.gpr[EMYS_RDX] = t[i].rdx;
		expect_eq(decode(&insn, t[i].bytes, t[i].n, EMYS_INSN_64), 0);
		emys_insn_execute(&insn, &cpu, (u64[2]){ t[i].by }, NULL, &res);
		expect(res.divide_error == t[i].error && !res.write, "row %u: #DE %d", i,
		       res.divide_error);
		if (t[i].error) {
			expect(!memcmp(&res.cpu.gpr, &cpu.gpr, sizeof(cpu.gpr)) &&
			       res.cpu.rip == cpu.rip, "row %u: #DE and a result", i);
			continue;
		}
		expect(res.cpu.gpr[EMYS_RAX] == t[i].quotient &&
		       res.cpu.gpr[EMYS_RDX] == t[i].remainder, "row %u: %#llx, %#llx",
		       i, res.cpu.gpr[EMYS_RAX], res.cpu.gpr[EMYS_RDX]);
	}
}

static void test_lock_flag(void)
{
	struct emys_insn insn;

	expect_eq(decode(&insn, (u8[]){ 0xf0, 0x01, 0x03 }, 3, EMYS_INSN_64), 0);
	expect_eq(insn.lock, 1);
	expect_eq(decode(&insn, (u8[]){ 0x01, 0x03 }, 2, EMYS_INSN_64), 0);
	expect_eq(insn.lock, 0);
	/* XCHG with memory is always locked */
	expect_eq(decode(&insn, (u8[]){ 0x87, 0x03 }, 2, EMYS_INSN_64), 0);
	expect_eq(insn.lock, 1);
}

static void test_rip(void)
{
	static const struct {
		enum emys_insn_mode mode;
		u64 before, after;
	} t[] = {
		{ EMYS_INSN_64, 0xffffffff, 0x100000001 },
		{ EMYS_INSN_64, 0xffffffffffffffff, 1 },
		{ EMYS_INSN_32, 0xffffffff, 1 },
		{ EMYS_INSN_32, 0x1000, 0x1002 },
		{ EMYS_INSN_16, 0x1000, 0x1002 },
	};
	unsigned int i;

	for (i = 0; i < sizeof(t) / sizeof(*t); i++) {
		struct emys_insn_cpu cpu = { .rip = t[i].before };
		struct emys_insn_result res;
		struct emys_insn insn;

		expect_eq(decode(&insn, (u8[]){ 0x8a, 0x07 }, 2, t[i].mode), 0);
		emys_insn_execute(&insn, &cpu, (u64[2]){}, NULL, &res);
		expect_eq(res.cpu.rip, t[i].after);
	}
}

int main(void)
{
	static const struct tap_test tests[] = {
		{ "insn: each form as the assembler made it", test_forms },
		{ "insn: bytes cut short", test_short_fetch },
		{ "insn: bytes that follow", test_trailing_bytes },
		{ "insn: 15 bytes at most", test_length_limit },
		{ "insn: addresses and segments", test_addresses },
		{ "insn: second operand of strings", test_string_source },
		{ "insn: repeated strings step by step", test_rep_steps },
		{ "insn: port strings", test_port_strings },
		{ "insn: repeated compares stop", test_rep_compare },
		{ "insn: bits beyond the access", test_dirty_input },
		{ "insn: SSE moves", test_sse },
		{ "insn: stack", test_stack },
		{ "insn: divide error", test_divide },
		{ "insn: lock flag", test_lock_flag },
		{ "insn: instruction pointer", test_rip },
	};

	return tap_run(tests, sizeof(tests) / sizeof(*tests));
}
