/* object.c — a small loader for the objects that code generation makes: a few sections, a few
 * kinds of relocation.  System V ABI, AMD64 supplement 1.0, section 4.4.  With it, code from
 * the cache runs without LLVM. */
#include "object.h"

#include "../base.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MOST_SECTIONS = 4096, STUB = 16 };
#define MOST_BYTES ((size_t)1 << 31)                 /* 32-bit displacements reach everything */

struct Object {
    char  *bytes; size_t size;                       /* the file */
    const Elf64_Ehdr *head;
    const Elf64_Shdr *section;
    size_t *place;                                   /* by section: in the image; 0: not loaded */
    const Elf64_Sym *symbol; size_t nsymbols;
    const char *names; size_t names_size;
    char  *image; size_t image_size, text_size;      /* text first, then data */
    size_t got, stubs;                               /* one slot and one jump for each symbol */
    void **address;                                  /* by symbol */
};

static Object *wrong(Object *o, char *err, size_t errlen, const char *what) {
    if (errlen) snprintf(err, errlen, "object code: %s", what);
    object_free(o);
    return NULL;
}

void object_free(Object *o) {
    if (!o) return;
    if (o->image) munmap(o->image, o->image_size);
    free(o->bytes);
    free(o->place);
    free(o->address);
    free(o);
}

/* ---- reading --------------------------------------------------------------------------- */

static bool within(const Object *o, uint64_t at, uint64_t n) { return at <= o->size && n <= o->size - at; }

static bool section_is_sound(const Object *o, const Elf64_Shdr *s) {
    if (s->sh_addralign > 4096 || s->sh_size > MOST_BYTES) return false;
    return s->sh_type == SHT_NOBITS || within(o, s->sh_offset, s->sh_size);
}

/* The headers, the symbols and their names lie in the file. */
static const char *read_headers(Object *o) {
    const Elf64_Ehdr *h = o->head = (const Elf64_Ehdr *)o->bytes;
    if (o->size < sizeof *h || memcmp(h->e_ident, ELFMAG, SELFMAG) != 0) return "no ELF file";
    if (h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_ident[EI_DATA] != ELFDATA2LSB || h->e_type != ET_REL || h->e_machine != EM_X86_64)
        return "not for this machine";
    if (h->e_shentsize != sizeof(Elf64_Shdr) || h->e_shnum > MOST_SECTIONS || h->e_shoff % 8 ||
        !within(o, h->e_shoff, (uint64_t)h->e_shnum * sizeof(Elf64_Shdr)))
        return "no section headers";
    o->section = (const Elf64_Shdr *)(o->bytes + h->e_shoff);
    for (int i = 0; i < h->e_shnum; i++) {
        const Elf64_Shdr *s = &o->section[i];
        if (!section_is_sound(o, s)) return "a section outside the file";
        if (s->sh_type != SHT_SYMTAB) continue;
        if (s->sh_link >= h->e_shnum || s->sh_offset % 8 || s->sh_entsize != sizeof(Elf64_Sym)) return "a bad symbol table";
        const Elf64_Shdr *names = &o->section[s->sh_link];
        o->symbol = (const Elf64_Sym *)(o->bytes + s->sh_offset);
        o->nsymbols = s->sh_size / sizeof(Elf64_Sym);
        o->names = o->bytes + names->sh_offset, o->names_size = names->sh_size;
        if (names->sh_type != SHT_STRTAB || !o->names_size || o->names[o->names_size - 1]) return "bad symbol names";
    }
    return o->symbol ? NULL : "no symbols";
}

/* ---- laying out ---------------------------------------------------------------------------- */

static size_t rounded(size_t n, size_t to) { return (n + to - 1) / to * to; }

static bool is_loaded(const Elf64_Shdr *s) { return (s->sh_flags & SHF_ALLOC) && s->sh_type != SHT_X86_64_UNWIND && s->sh_size; }

/* Code and jumps, a page boundary, data and addresses. */
static const char *lay_out(Object *o) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), at = 64;       /* 0 is no place */
    o->place = lq_alloc(((size_t)o->head->e_shnum + 1) * sizeof *o->place);
    memset(o->place, 0, ((size_t)o->head->e_shnum + 1) * sizeof *o->place);
    for (int data = 0; data < 2; data++) {
        for (int i = 0; i < o->head->e_shnum; i++) {
            const Elf64_Shdr *s = &o->section[i];
            if (!is_loaded(s) || ((s->sh_flags & SHF_EXECINSTR) == 0) != (data == 1)) continue;
            at = rounded(at, s->sh_addralign > 1 ? s->sh_addralign : 1);
            o->place[i] = at;
            at += s->sh_size;
            if (at > MOST_BYTES) return "too large";
        }
        at = rounded(at, STUB);
        *(data ? &o->got : &o->stubs) = at;
        at = rounded(at + o->nsymbols * (data ? sizeof(void *) : STUB), page);
        if (!data) o->text_size = at;
    }
    o->image_size = at;
    if (at > MOST_BYTES) return "too large";
    o->image = mmap(NULL, at, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (o->image == MAP_FAILED) return o->image = NULL, "no memory";
    for (int i = 0; i < o->head->e_shnum; i++)
        if (o->place[i] && o->section[i].sh_type != SHT_NOBITS)
            memcpy(o->image + o->place[i], o->bytes + o->section[i].sh_offset, o->section[i].sh_size);
    return NULL;
}

/* ---- symbols -------------------------------------------------------------------------------- */

static const char *name_of(const Object *o, size_t symbol) {
    return o->symbol[symbol].st_name < o->names_size ? o->names + o->symbol[symbol].st_name : "";
}

/* jmp *slot(%rip), for callees out of reach. */
static void write_stub(Object *o, size_t i) {
    char *stub = o->image + o->stubs + i * STUB;
    int32_t to = (int32_t)(o->got + i * sizeof(void *) - (o->stubs + i * STUB + 6));
    stub[0] = (char)0xff, stub[1] = 0x25;
    memcpy(stub + 2, &to, sizeof to);
}

static const char *bind_symbols(Object *o, ObjectSymbol *symbol, void *ctx) {
    o->address = lq_alloc((o->nsymbols + 1) * sizeof *o->address);
    memset(o->address, 0, (o->nsymbols + 1) * sizeof *o->address);
    for (size_t i = 1; i < o->nsymbols; i++) {
        const Elf64_Sym *s = &o->symbol[i];
        if (s->st_shndx == SHN_UNDEF) {
            o->address[i] = symbol(ctx, name_of(o, i));
            if (!o->address[i]) return "calls something unknown";
        } else if (s->st_shndx < o->head->e_shnum && o->place[s->st_shndx]) {
            if (s->st_value > o->section[s->st_shndx].sh_size) return "a symbol outside its section";
            o->address[i] = o->image + o->place[s->st_shndx] + s->st_value;
        }
        memcpy(o->image + o->got + i * sizeof(void *), &o->address[i], sizeof(void *));
        write_stub(o, i);
    }
    return NULL;
}

/* ---- relocations ------------------------------------------------------------------------------ */

static bool write32(char *at, int64_t v) {
    int32_t word = (int32_t)v;
    memcpy(at, &word, sizeof word);
    return word == v;
}

static const char *relocate_one(Object *o, const Elf64_Shdr *target, size_t place, const Elf64_Rela *r) {
    size_t i = ELF64_R_SYM(r->r_info), type = ELF64_R_TYPE(r->r_info), width = type == R_X86_64_64 || type == R_X86_64_PC64 ? 8 : 4;
    if (i >= o->nsymbols || !o->address[i]) return "a relocation without a symbol";
    if (target->sh_size < width || r->r_offset > target->sh_size - width) return "a relocation outside its section";
    char *at = o->image + place + r->r_offset;
    int64_t here = (int64_t)(intptr_t)at, there = (int64_t)(intptr_t)o->address[i] + r->r_addend;
    int64_t image = (int64_t)(intptr_t)o->image;
    switch (type) {
    case R_X86_64_64:   memcpy(at, &there, 8); return NULL;
    case R_X86_64_PC64: there -= here; memcpy(at, &there, 8); return NULL;
    case R_X86_64_PC32: return write32(at, there - here) ? NULL : "something out of reach";
    case R_X86_64_PLT32:
        if (write32(at, there - here)) return NULL;
        return write32(at, image + (int64_t)(o->stubs + i * STUB) + r->r_addend - here) ? NULL : "a call out of reach";
    case R_X86_64_GOTPCREL: case R_X86_64_GOTPCRELX: case R_X86_64_REX_GOTPCRELX:
        return write32(at, image + (int64_t)(o->got + i * sizeof(void *)) + r->r_addend - here) ? NULL : "an address out of reach";
    default: return "a relocation of an unknown kind";
    }
}

static const char *relocate(Object *o) {
    for (int k = 0; k < o->head->e_shnum; k++) {
        const Elf64_Shdr *s = &o->section[k];
        if (s->sh_type != SHT_RELA || s->sh_info >= o->head->e_shnum || !o->place[s->sh_info]) continue;
        if (s->sh_entsize != sizeof(Elf64_Rela) || s->sh_offset % 8) return "a bad relocation table";
        const Elf64_Rela *r = (const Elf64_Rela *)(o->bytes + s->sh_offset);
        for (size_t i = 0; i < s->sh_size / sizeof *r; i++) {
            const char *problem = relocate_one(o, &o->section[s->sh_info], o->place[s->sh_info], &r[i]);
            if (problem) return problem;
        }
    }
    return NULL;
}

/* ---- the whole ---------------------------------------------------------------------------------- */

Object *object_load(const char *bytes, size_t size, ObjectSymbol *symbol, void *ctx, char *err, size_t errlen) {
    Object *o = lq_alloc(sizeof *o);
    *o = (Object){.bytes = lq_alloc(size + 1), .size = size};     /* aligned as malloc does */
    memcpy(o->bytes, bytes, size);
    const char *problem = read_headers(o);
    if (!problem) problem = lay_out(o);
    if (!problem) problem = bind_symbols(o, symbol, ctx);
    if (!problem) problem = relocate(o);
    if (problem) return wrong(o, err, errlen, problem);
    if (mprotect(o->image, o->text_size, PROT_READ | PROT_EXEC) || mprotect(o->image + o->text_size, o->image_size - o->text_size, PROT_READ))
        return wrong(o, err, errlen, "memory cannot be made executable here");
    return o;
}

void *object_find(const Object *o, const char *name) {
    for (size_t i = 1; i < o->nsymbols; i++)
        if (o->symbol[i].st_shndx != SHN_UNDEF && ELF64_ST_TYPE(o->symbol[i].st_info) == STT_FUNC && !strcmp(name_of(o, i), name))
            return o->address[i];
    return NULL;
}
