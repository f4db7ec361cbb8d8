/* SPDX-License-Identifier: GPL-2.0-only */
/* Small kernels of each format, made in memory, to be damaged by tests. */
#ifndef IMAGES_H
#define IMAGES_H

#include <elf.h>
#include <string.h>

#include "boot.h"
#include "util.h"

#define IMG_MAX 32768

/* Offsets in a bzImage, from the boot protocol's table of fields. */
#define BZ_SETUP_SECTS	0x1f1
#define BZ_SYSSIZE	0x1f4
#define BZ_BOOT_FLAG	0x1fe
#define BZ_JUMP		0x200
#define BZ_MAGIC	0x202
#define BZ_VERSION	0x206
#define BZ_LOADFLAGS	0x211
#define BZ_INITRD_MAX	0x22c
#define BZ_RELOCATABLE	0x234
#define BZ_XLOADFLAGS	0x236
#define BZ_CMDLINE_SIZE	0x238
#define BZ_PREF		0x258
#define BZ_INIT_SIZE	0x260

#define BZ_SECTS	4
#define BZ_PAYLOAD	((BZ_SECTS + 1) * 512)
#define BZ_PAYLOAD_LEN	4096

/* A bzImage of protocol 2.15, its payload filled with 0xc3. */
static inline uint64_t make_bzimage(uint8_t *p)
{
	memset(p, 0, IMG_MAX);
	p[BZ_SETUP_SECTS] = BZ_SECTS;
	put_le32(p + BZ_SYSSIZE, BZ_PAYLOAD_LEN / 16);
	put_le16(p + BZ_BOOT_FLAG, 0xaa55);
	p[BZ_JUMP] = 0xeb;
	p[BZ_JUMP + 1] = 0x6a;
	memcpy(p + BZ_MAGIC, "HdrS", 4);
	put_le16(p + BZ_VERSION, 0x20f);
	p[BZ_LOADFLAGS] = 1;
	put_le32(p + BZ_INITRD_MAX, 0x7fffffff);
	p[BZ_RELOCATABLE] = 1;
	put_le16(p + BZ_XLOADFLAGS, 1);
	put_le32(p + BZ_CMDLINE_SIZE, 2047);
	put_le64(p + BZ_PREF, 0x1000000);
	put_le32(p + BZ_INIT_SIZE, 0x100000);
	memset(p + BZ_PAYLOAD, 0xc3, BZ_PAYLOAD_LEN);
	return BZ_PAYLOAD + BZ_PAYLOAD_LEN;
}

#define ELF_LOAD_AT	0x200000
#define ELF_VIRT	0xffffffff80200000
#define ELF_CODE	4096
#define ELF_CODE_LEN	512
#define ELF_BSS		8192
#define ELF_NOTE	2048
#define ELF_PHDR(i)	(sizeof(Elf64_Ehdr) + (i) * sizeof(Elf64_Phdr))

/* An ELF64 kernel with one load segment and a PVH entry note. */
static inline uint64_t make_pvh(uint8_t *p)
{
	Elf64_Ehdr eh = {
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1 },
		.e_type = ET_EXEC, .e_machine = EM_X86_64, .e_version = 1,
		.e_entry = ELF_VIRT, .e_phoff = ELF_PHDR(0),
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 2,
	};
	Elf64_Phdr load = {
		.p_type = PT_LOAD, .p_offset = ELF_CODE, .p_vaddr = ELF_VIRT,
		.p_paddr = ELF_LOAD_AT, .p_filesz = ELF_CODE_LEN,
		.p_memsz = ELF_BSS, .p_align = 4096,
	};
	Elf64_Phdr note = {
		.p_type = PT_NOTE, .p_offset = ELF_NOTE, .p_filesz = 44,
		.p_memsz = 44, .p_align = 4,
	};

	memset(p, 0, IMG_MAX);
	memcpy(p, &eh, sizeof(eh));
	memcpy(p + ELF_PHDR(0), &load, sizeof(load));
	memcpy(p + ELF_PHDR(1), &note, sizeof(note));
	/* Some other note first, then the one that counts. */
	put_le32(p + ELF_NOTE, 4);
	put_le32(p + ELF_NOTE + 4, 4);
	put_le32(p + ELF_NOTE + 8, 1);
	memcpy(p + ELF_NOTE + 12, "GNU", 4);
	put_le32(p + ELF_NOTE + 20, 4);
	put_le32(p + ELF_NOTE + 24, 8);
	put_le32(p + ELF_NOTE + 28, 18);
	memcpy(p + ELF_NOTE + 32, "Xen", 4);
	put_le64(p + ELF_NOTE + 36, ELF_LOAD_AT + 0x40);
	memset(p + ELF_CODE, 0xc3, ELF_CODE_LEN);
	return ELF_CODE + ELF_CODE_LEN;
}

/* The same file with a multiboot header instead of the note. */
static inline uint64_t make_multiboot(uint8_t *p)
{
	uint64_t len = make_pvh(p);

	put_le16(p + offsetof(Elf64_Ehdr, e_phnum), 1);
	put_le64(p + offsetof(Elf64_Ehdr, e_entry), ELF_VIRT + 0x20);
	put_le32(p + ELF_CODE, 0x1badb002);
	put_le32(p + ELF_CODE + 4, 3);
	put_le32(p + ELF_CODE + 8, -(0x1badb002u + 3));
	return len;
}

#define FLAT_HEADER	64

/* A flat multiboot kernel, loaded by the addresses in its header. */
static inline uint64_t make_flat(uint8_t *p)
{
	uint8_t *h = p + FLAT_HEADER;

	memset(p, 0x90, 4096);
	put_le32(h, 0x1badb002);
	put_le32(h + 4, 1u << 16);
	put_le32(h + 8, -(0x1badb002u + (1u << 16)));
	put_le32(h + 12, ELF_LOAD_AT + FLAT_HEADER);
	put_le32(h + 16, ELF_LOAD_AT);
	put_le32(h + 20, ELF_LOAD_AT + 4096);
	put_le32(h + 24, ELF_LOAD_AT + 8192);
	put_le32(h + 28, ELF_LOAD_AT + 0x80);
	return 4096;
}

#endif
