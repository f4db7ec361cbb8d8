// SPDX-License-Identifier: GPL-2.0-only
/* Fuzz target: the instruction decoder and executor, any bytes */

#include <string.h>

#include "../../kmod/insn/insn.h"
#include "fuzz.h"

/* A buffer of exactly @n bytes: the sanitizer sees a read beyond */
static int decode(struct emys_insn *insn, const u8 *bytes, unsigned int n,
		  enum emys_insn_mode mode)
{
	u8 *copy = malloc(n);
	int ret;

	if (n)
		memcpy(copy, bytes, n);
	ret = emys_insn_decode(insn, copy, n, mode);
	free(copy);
	return ret;
}

/* The contract of a decoded instruction, restated */
static void check_insn(const struct emys_insn *insn)
{
	bool string = insn->op >= EMYS_OP_STOS;
	bool stack = insn->op == EMYS_OP_PUSH || insn->op == EMYS_OP_POP;
	bool two = insn->op == EMYS_OP_MOVS || insn->op == EMYS_OP_CMPS ||
		   (stack && (insn->reads & 2));
	bool quad = insn->op == EMYS_OP_CMPXCHG8B;
	int i;

	check(insn->op < EMYS_OP_NR, "%d", insn->op);
	check(insn->size == 1 || insn->size == 2 || insn->size == 4 ||
	      insn->size == 8 ||
	      (insn->size == 16 && (insn->vec || quad)), "%d", insn->size);
	check(insn->addr_size == 2 || insn->addr_size == 4 || insn->addr_size == 8,
	      "%d", insn->addr_size);
	check(insn->reads || insn->write, "no access");
	check(!(insn->reads & ~3) && (two || !(insn->reads & 2)), "%d", insn->reads);
	check(!insn->rep || string, "rep of op %d", insn->op);
	check(!insn->repne || insn->rep, "repne without rep");
	check(!insn->lock || (insn->write && insn->reads == 1), "lock of op %d", insn->op);
	check(insn->reg < 16, "%d", insn->reg);
	check(!insn->reg_high || (insn->reg < 4 && insn->reg_size == 1), "high byte");
	if (insn->mode != EMYS_INSN_64)
		check(insn->size <= 4 || insn->vec || (quad && insn->size == 8),
		      "64 bits in a %d-bit mode", insn->mode);
	for (i = 0; i <= two; i++) {
		const struct emys_insn_mem *m = &insn->mem[i];

		check(m->seg <= EMYS_SEG_GS, "%d", m->seg);
		check(!m->stack || (stack && m->seg == EMYS_SEG_SS &&
				    m->base == EMYS_RSP), "stack of op %d", insn->op);
		check(m->base < 16 || m->base == EMYS_INSN_NO_REG, "%d", m->base);
		check(m->index < 16 || m->index == EMYS_INSN_NO_REG, "%d", m->index);
		check(m->scale == 1 || m->scale == 2 || m->scale == 4 ||
		      m->scale == 8, "%d", m->scale);
	}
}

static void check_execution(const struct emys_insn *insn, struct input *input)
{
	u64 mask = insn->size >= 8 ? ~0ULL : (1ULL << 8 * insn->size) - 1;
	struct emys_insn_result res;
	struct emys_insn_cpu cpu;
	u64 in[2], vec[2];
	int changed = 0, i;

	for (i = 0; i < 16; i++)
		cpu.gpr[i] = take(input, 8);
	cpu.rip = take(input, 8);
	if (insn->mode != EMYS_INSN_64)
		cpu.rip = (u32)cpu.rip;
	cpu.rflags = take(input, 2);
	cpu.ss_big = take(input, 1) & 1;
	for (i = 0; i < 2; i++) {
		in[i] = take(input, 8);
		vec[i] = take(input, 8);
		if (insn->addr_size < 8 && !insn->mem[i].stack)
			check(!(emys_insn_offset(insn, &cpu, i) >> 8 * insn->addr_size),
			      "address too wide");
	}
	emys_insn_execute(insn, &cpu, in, vec, &res);

	if (res.divide_error) {
		check(insn->op == EMYS_OP_DIV || insn->op == EMYS_OP_IDIV, "#DE of op %d",
		      insn->op);
		check(!res.write && !res.vec_write && !res.again, "#DE with more");
		check(!memcmp(res.cpu.gpr, cpu.gpr, sizeof(cpu.gpr)) &&
		      res.cpu.rip == cpu.rip && res.cpu.rflags == cpu.rflags,
		      "#DE with a result");
		return;
	}
	if (emys_insn_left(insn, &cpu))
		check(res.write == (insn->write || insn->op == EMYS_OP_OUTS),
		      "write %d", res.write);
	else
		check(!res.write && !res.again, "count 0 wrote");
	check(!(res.out[0] & ~mask), "%#llx", res.out[0]);
	check(insn->size == 16 || !res.out[1], "%#llx", res.out[1]);
	check(res.vec_write == (insn->vec && insn->to_reg), "vec");
	check(!((res.cpu.rflags ^ cpu.rflags) & ~0x8d5ULL), "flags %#llx",
	      res.cpu.rflags);
	if (res.again)
		check(res.cpu.rip == cpu.rip && insn->rep, "again");
	else if (insn->mode == EMYS_INSN_64)
		check(res.cpu.rip == cpu.rip + insn->length, "rip");
	else
		check(res.cpu.rip == (u32)(cpu.rip + insn->length), "rip");
	for (i = 0; i < 16; i++)
		changed += res.cpu.gpr[i] != cpu.gpr[i];
	check(changed <= 3, "%d registers changed", changed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { .data = data, .size = size, .pos = 1 + 20 };
	enum emys_insn_mode mode;
	struct emys_insn insn, again;
	unsigned int n;
	int ret;

	if (!size)
		return 0;
	mode = data[0] % 3;
	n = size - 1 < 20 ? size - 1 : 20;
	ret = decode(&insn, data + 1, n, mode);

	switch (ret) {
	case 0:
		break;
	case -ENODATA:
		check(n < EMYS_INSN_MAX, "asks for more than %u bytes", n);
		return 0;
	case -E2BIG:
		check(n >= EMYS_INSN_MAX, "too long with %u bytes", n);
		return 0;
	case -EOPNOTSUPP:
	case -EINVAL:
		return 0;
	default:
		check(0, "returned %d", ret);
	}

	check(insn.mode == mode, "%d", insn.mode);
	check(insn.length && insn.length <= n && insn.length <= EMYS_INSN_MAX,
	      "length %d of %u", insn.length, n);
	check_insn(&insn);
	/* exactly its bytes suffice, one less does not */
	check(!decode(&again, data + 1, insn.length, mode), "its own bytes");
	check(!memcmp(&insn, &again, sizeof(insn)), "depends on what follows");
	check(decode(&again, data + 1, insn.length - 1, mode) == -ENODATA,
	      "one byte less");
	check_execution(&insn, &input);
	return 0;
}
