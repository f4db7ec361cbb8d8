// SPDX-License-Identifier: GPL-2.0-only
/* ELF: program headers of either class, bounds checked. */
#include "elf_file.h"

#include <elf.h>
#include <string.h>

#include "layout.h"
#include "util.h"

bool elf_probe(const struct image *k)
{
	return k->size >= SELFMAG && !memcmp(k->data, ELFMAG, SELFMAG);
}

int elf_open(struct boot *b, struct elf_file *elf)
{
	const struct image *k = &b->kernel;
	const uint8_t *p = k->data;

	if (k->size < sizeof(Elf32_Ehdr))
		return boot_fail(b, "%s: ELF header cut short: %llu bytes",
				 k->path, (unsigned long long)k->size);
	if (p[EI_DATA] != ELFDATA2LSB)
		return boot_fail(b, "%s: EI_DATA %u: not a little-endian ELF file",
				 k->path, p[EI_DATA]);
	if (p[EI_CLASS] != ELFCLASS32 && p[EI_CLASS] != ELFCLASS64)
		return boot_fail(b, "%s: EI_CLASS %u: neither 32-bit nor 64-bit",
				 k->path, p[EI_CLASS]);
	elf->is64 = p[EI_CLASS] == ELFCLASS64;
	if (elf->is64 && k->size < sizeof(Elf64_Ehdr))
		return boot_fail(b, "%s: ELF header cut short: %llu bytes",
				 k->path, (unsigned long long)k->size);
	elf->machine = get_le16(p + offsetof(Elf32_Ehdr, e_machine));
	if (elf->machine != EM_386 && elf->machine != EM_X86_64)
		return boot_fail(b, "%s: e_machine %u: not an x86 program",
				 k->path, elf->machine);
	if (elf->is64) {
		elf->entry = get_le64(p + offsetof(Elf64_Ehdr, e_entry));
		elf->phoff = get_le64(p + offsetof(Elf64_Ehdr, e_phoff));
		elf->phentsize = get_le16(p + offsetof(Elf64_Ehdr, e_phentsize));
		elf->phnum = get_le16(p + offsetof(Elf64_Ehdr, e_phnum));
	} else {
		elf->entry = get_le32(p + offsetof(Elf32_Ehdr, e_entry));
		elf->phoff = get_le32(p + offsetof(Elf32_Ehdr, e_phoff));
		elf->phentsize = get_le16(p + offsetof(Elf32_Ehdr, e_phentsize));
		elf->phnum = get_le16(p + offsetof(Elf32_Ehdr, e_phnum));
	}
	if (!elf->phnum)
		return boot_fail(b, "%s: e_phnum 0: nothing to load", k->path);
	if (elf->phentsize <
	    (elf->is64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr)))
		return boot_fail(b, "%s: e_phentsize %u: too small", k->path,
				 elf->phentsize);
	if (elf->phoff > k->size ||
	    (uint64_t)elf->phnum * elf->phentsize > k->size - elf->phoff)
		return boot_fail(b, "%s: e_phoff %#llx: %u program headers lie beyond the file's end (%#llx); is it cut short?",
				 k->path, (unsigned long long)elf->phoff,
				 elf->phnum, (unsigned long long)k->size);
	return 0;
}

int elf_segment(struct boot *b, const struct elf_file *elf, unsigned int i,
		struct elf_segment *seg)
{
	const struct image *k = &b->kernel;
	const uint8_t *p = k->data + elf->phoff + i * elf->phentsize;

	seg->type = get_le32(p);
	if (elf->is64) {
		seg->offset = get_le64(p + offsetof(Elf64_Phdr, p_offset));
		seg->vaddr = get_le64(p + offsetof(Elf64_Phdr, p_vaddr));
		seg->paddr = get_le64(p + offsetof(Elf64_Phdr, p_paddr));
		seg->filesz = get_le64(p + offsetof(Elf64_Phdr, p_filesz));
		seg->memsz = get_le64(p + offsetof(Elf64_Phdr, p_memsz));
		seg->align = get_le64(p + offsetof(Elf64_Phdr, p_align));
	} else {
		seg->offset = get_le32(p + offsetof(Elf32_Phdr, p_offset));
		seg->vaddr = get_le32(p + offsetof(Elf32_Phdr, p_vaddr));
		seg->paddr = get_le32(p + offsetof(Elf32_Phdr, p_paddr));
		seg->filesz = get_le32(p + offsetof(Elf32_Phdr, p_filesz));
		seg->memsz = get_le32(p + offsetof(Elf32_Phdr, p_memsz));
		seg->align = get_le32(p + offsetof(Elf32_Phdr, p_align));
	}
	if (seg->type != ELF_PT_LOAD && seg->type != ELF_PT_NOTE)
		return 0;
	if (seg->offset > k->size || seg->filesz > k->size - seg->offset)
		return boot_fail(b, "%s: program header %u: p_offset %#llx + p_filesz %#llx is beyond the file's end (%#llx); is it cut short?",
				 k->path, i, (unsigned long long)seg->offset,
				 (unsigned long long)seg->filesz,
				 (unsigned long long)k->size);
	if (seg->type == ELF_PT_LOAD && seg->memsz < seg->filesz)
		return boot_fail(b, "%s: program header %u: p_memsz %#llx is less than p_filesz %#llx",
				 k->path, i, (unsigned long long)seg->memsz,
				 (unsigned long long)seg->filesz);
	return 0;
}

int elf_load(struct boot *b, const struct elf_file *elf, uint64_t *end)
{
	const struct image *k = &b->kernel;
	struct elf_segment seg;
	bool any = false;
	uint8_t *to;
	int rc;

	*end = 0;
	for (unsigned int i = 0; i < elf->phnum; i++) {
		rc = elf_segment(b, elf, i, &seg);
		if (rc)
			return rc;
		if (seg.type != ELF_PT_LOAD || !seg.memsz)
			continue;
		to = guest_mem_ptr(b->mem, seg.paddr, seg.memsz);
		if (seg.paddr < LAYOUT_HIGH || !to)
			return boot_fail(b, "%s: program header %u: p_paddr %#llx + p_memsz %#llx is not in guest memory of %llu MiB above 1 MiB",
					 k->path, i,
					 (unsigned long long)seg.paddr,
					 (unsigned long long)seg.memsz,
					 (unsigned long long)(b->mem->size / MIB));
		/* Fresh guest memory is zero: leave the rest untouched. */
		memcpy(to, k->data + seg.offset, seg.filesz);
		any = true;
		if (seg.paddr < MEM_HOLE_START && seg.paddr + seg.memsz > *end)
			*end = seg.paddr + seg.memsz;
	}
	if (!any)
		return boot_fail(b, "%s: no PT_LOAD segment: nothing to load",
				 k->path);
	return 0;
}
