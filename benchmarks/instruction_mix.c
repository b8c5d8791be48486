/* A plugin of QEMU 7 that counts every instruction of a program by its address, and how often a branch was taken.
 *
 *     cc -shared -fPIC -O2 -o instruction_mix.so instruction_mix.c
 *     INSTRUCTION_MIX=mix.tsv qemu-system-arm ... -plugin ./instruction_mix.so
 *
 * A line is: address, bytes, times, times that what follows was not the next address, disassembly. QEMU's header for
 * plugins is no part of its packages, so what is used of it (version 1 of the interface) is declared here.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef uint64_t qemu_plugin_id_t;
enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, void *), void *);
void qemu_plugin_register_vcpu_tb_exec_cb(
    struct qemu_plugin_tb *, void (*)(unsigned, void *), enum qemu_plugin_cb_flags, void *);
void qemu_plugin_register_vcpu_insn_exec_inline(
    struct qemu_plugin_insn *, enum qemu_plugin_op, void *, uint64_t);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);
char *qemu_plugin_insn_disas(const struct qemu_plugin_insn *);

#define SEEN __attribute__((visibility("default")))
#define ROWS (1u << 20)

SEEN int qemu_plugin_version = 1;

static struct row {
    uint64_t address, times, taken;
    size_t bytes;
    char *text;
} rows[ROWS];

struct block {
    uint64_t start, end;
    struct row *last;
};

static struct block *before;

static struct row *row_of(const struct qemu_plugin_insn *instruction)
{
    const uint64_t address = qemu_plugin_insn_vaddr(instruction);
    unsigned at = (unsigned)(address >> 1) * 2654435761u % ROWS;
    while (rows[at].text != NULL && rows[at].address != address) {
        at = (at + 1) % ROWS;
    }
    if (rows[at].text == NULL) {
        rows[at].address = address;
        rows[at].bytes = qemu_plugin_insn_size(instruction);
        rows[at].text = qemu_plugin_insn_disas(instruction);
    }
    return &rows[at];
}

static void entered(unsigned core, void *data)
{
    struct block *block = data;
    (void)core;
    if (before != NULL && before->end != block->start) {
        ++before->last->taken;
    }
    before = block;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *code)
{
    const size_t count = qemu_plugin_tb_n_insns(code);
    struct block *block = malloc(sizeof *block);
    (void)id;
    for (size_t i = 0; i < count; ++i) {
        struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(code, i);
        block->last = row_of(instruction);
        block->end = block->last->address + block->last->bytes;
        qemu_plugin_register_vcpu_insn_exec_inline(
            instruction, QEMU_PLUGIN_INLINE_ADD_U64, &block->last->times, 1);
    }
    block->start = qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(code, 0));
    qemu_plugin_register_vcpu_tb_exec_cb(code, entered, QEMU_PLUGIN_CB_NO_REGS, block);
}

static void ended(qemu_plugin_id_t id, void *data)
{
    FILE *file = fopen(getenv("INSTRUCTION_MIX"), "w");
    (void)id;
    (void)data;
    for (const struct row *row = rows; row < rows + ROWS; ++row) {
        if (row->times) {
            fprintf(file, "%" PRIu64 "\t%zu\t%" PRIu64 "\t%" PRIu64 "\t%s\n", row->address, row->bytes, row->times,
                    row->taken, row->text);
        }
    }
    fclose(file);
}

SEEN int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
    (void)info;
    (void)argc;
    (void)argv;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
