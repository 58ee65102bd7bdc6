/* SPDX-License-Identifier: MIT */
/* Errors, memory, hashes, numbers on the command line, parallel loops. */
#include "tests/support/cmocka.h"

#include "common/base/cli.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/base/parallel.h"
#include "common/base/sha256_message.h"
#include "common/base/spelling.h"

#include <stdlib.h>
#include <string.h>

static void test_err_first_wins_and_context(void **state)
{
    struct err e = {0};
    (void)state;

    assert_int_equal(err_set(&e, ERR_FORMAT, "byte %d", 7), ERR_FORMAT);
    assert_int_equal(err_set(&e, ERR_IO, "later"), ERR_FORMAT);
    assert_int_equal(err_in(&e, "file %s", "a"), ERR_FORMAT);
    assert_string_equal(e.text, "file a: byte 7");
    err_clear(&e);
    assert_int_equal(err_in(&e, "nothing"), ERR_OK);
    assert_string_equal(e.text, "");
}

static void test_err_long_text_is_marked(void **state)
{
    struct err e = {0};
    char *big = test_malloc(2 * ERR_TEXT_SIZE);
    (void)state;

    memset(big, 'x', 2 * ERR_TEXT_SIZE - 1);
    big[2 * ERR_TEXT_SIZE - 1] = '\0';
    assert_int_equal(err_set(&e, ERR_DATA, "%s", big), ERR_DATA);
    assert_string_equal(e.text + ERR_TEXT_SIZE - 4, "...");
    assert_int_equal(err_in(&e, "%s", big), ERR_DATA);
    assert_int_equal(strlen(e.text), ERR_TEXT_SIZE - 1);
    assert_string_equal(e.text + ERR_TEXT_SIZE - 4, "...");
    test_free(big);
}

static void test_err_masks_controls(void **state)
{
    struct err e = {0}, other = {0};

    (void)state;
    (void)err_set(&e, ERR_DATA, "clip '%s'", "\x1b[31m\n\x7f\xc2\x9b\xc3\xa9");
    assert_string_equal(e.text, "clip '?[31m????\xc3\xa9'");
    (void)err_in(&e, "a\tb\n");
    assert_string_equal(e.text, "a?b?: clip '?[31m????\xc3\xa9'");
    (void)err_add_line(&other, ERR_DATA, "one\a");
    (void)err_add_line(&other, ERR_DATA, "two");
    err_clear(&e);
    assert_int_equal(err_copy(&e, &other), ERR_DATA);
    assert_string_equal(e.text, "one?\ntwo");
}

static void test_err_lines_stop_at_twenty(void **state)
{
    struct err e = {0};
    int lines = 1;
    (void)state;

    for (int i = 1; i <= 30; i++)
        assert_int_equal(err_add_line(&e, ERR_DATA, "m.tsv:%d: bad", i), ERR_DATA);
    for (const char *p = e.text; *p != '\0'; p++)
        lines += *p == '\n';
    assert_int_equal(lines, 20);
    assert_non_null(strstr(e.text, "m.tsv:20: bad"));
    assert_null(strstr(e.text, "m.tsv:21: bad"));
}

static void test_exit_statuses(void **state)
{
    (void)state;
    assert_int_equal(err_exit_status(ERR_OK), 0);
    assert_int_equal(err_exit_status(ERR_IO), 1);
    assert_int_equal(err_exit_status(ERR_USAGE), 2);
    assert_int_equal(err_exit_status(ERR_REJECTED), 3);
    assert_int_equal(err_exit_status(ERR_CHECKSUM), 4);
    assert_int_equal(err_exit_status(ERR_STOPPED), 75);
}

static void test_mem_refuses_overflow(void **state)
{
    struct err e = {0};
    size_t cap = 0;
    void *p = NULL;
    (void)state;

    assert_int_equal(mem_array(&p, SIZE_MAX / 2, 3, "x", &e), ERR_NOMEM);
    assert_null(p);
    err_clear(&e);
    assert_int_equal(mem_aligned(&p, SIZE_MAX, 1, "x", &e), ERR_NOMEM);
    err_clear(&e);
    assert_int_equal(mem_grow(&p, &cap, SIZE_MAX, 8, "x", &e), ERR_NOMEM);
    err_clear(&e);
    assert_int_equal(mem_aligned(&p, 3, 4, "x", &e), ERR_OK);
    assert_int_equal((uintptr_t)p % 64, 0);
    free(p);
}

static void test_hashes_known_answers(void **state)
{
    struct err e = {0};
    uint8_t digest[SHA256_SIZE];
    char hex[SHA256_HEX_SIZE];
    (void)state;

    assert_int_equal(hash_crc32c(0, "123456789", 9), 0xe3069283u); /* RFC 3720 B.4 */
    assert_int_equal(hash_crc32c(hash_crc32c(0, "1234", 4), "56789", 5), 0xe3069283u);
    assert_int_equal(hash_crc32c(0, "", 0), 0);
    assert_int_equal(sha256_bytes("abc", 3, digest, &e), ERR_OK); /* FIPS 180-4 */
    sha256_hex(digest, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

/* Two messages side by side have the digests that each has alone, wherever they are cut. */
static void test_sha256_pair(void **state)
{
    static uint8_t data[5000];
    uint8_t want[2][SHA256_SIZE], got[2][SHA256_SIZE];
    struct err e = {0};

    (void)state;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * i % 251);
    for (size_t n = 0; n < 300; n++) {
        size_t m = n * 7 % 1000, first = n % 65, second = m % 131;
        size_t len[2] = {first + n + 17, second + m + 2000};
        struct sha256 *g = sha256_new(), *h = sha256_new();

        sha256_add_pair(g, data, first, h, data + 1, second);
        sha256_add_pair(g, data + first, n, h, data + 1 + second, m);
        sha256_add_pair(g, data + first + n, 17, h, data + 1 + second + m, 2000);
        assert_int_equal(sha256_end(g, got[0], &e), ERR_OK);
        assert_int_equal(sha256_end(h, got[1], &e), ERR_OK);
        assert_int_equal(sha256_bytes(data, len[0], want[0], &e), ERR_OK);
        assert_int_equal(sha256_bytes(data + 1, len[1], want[1], &e), ERR_OK);
        assert_memory_equal(got, want, sizeof got);
    }
    sha256_add_pair(NULL, data, 100, NULL, data, 100);
}

/* Messages of 0 to 39 pieces, by turns short, empty and long. */
struct messages {
    const uint8_t *data;
    int made, wanted;
    uint8_t digest[40][SHA256_SIZE];
};

static bool next_message(void *ctx, struct sha256_message *m, uint8_t **digest)
{
    struct messages *s = ctx;
    int k = s->made;

    if (k == s->wanted)
        return false;
    sha256_message_begin(m);
    for (int i = 0; i < k; i++) {
        if (i % 3 == 0)
            sha256_message_copy_u32(m, (uint32_t)(k * i));
        if (i % 5 == 0)
            sha256_message_copy_u64(m, (uint64_t)i << 40);
        sha256_message_add(m, s->data + i, (size_t)(i % 4) * (size_t)(k * 37 % 200));
    }
    *digest = s->digest[k];
    s->made++;
    return true;
}

/* Digests made two at a time are those that each message has alone, whatever their number. */
static void test_sha256_messages(void **state)
{
    static uint8_t data[1000];
    struct messages s = {.data = data};
    struct sha256_message m;
    uint8_t alone[SHA256_SIZE], *unused;
    struct err e = {0};

    (void)state;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * i % 251);
    for (s.wanted = 0; s.wanted <= 40; s.wanted += s.wanted < 3 ? 1 : 37) {
        int made = 0;

        s.made = 0;
        memset(s.digest, 0, sizeof s.digest);
        assert_int_equal(sha256_messages(next_message, &s, &e), ERR_OK);
        assert_int_equal(s.made, s.wanted);
        for (s.made = 0; s.made < s.wanted; made++) {
            uint8_t side_by_side[SHA256_SIZE];

            memcpy(side_by_side, s.digest[made], SHA256_SIZE);
            assert_true(next_message(&s, &m, &unused));
            assert_int_equal(sha256_message_digest(&m, alone, &e), ERR_OK);
            assert_memory_equal(side_by_side, alone, SHA256_SIZE);
        }
    }
}

/* A number is its bytes, the lowest first, and is part of what the digest is of. */
static void test_sha256_message_is_its_bytes(void **state)
{
    static const char want[] = "ab\4\3\2\1\10\7\6\5\4\3\2\1cd";
    struct sha256_message m;
    uint8_t got[SHA256_SIZE], expected[SHA256_SIZE];
    char ab[] = "ab";
    struct err e = {0};

    (void)state;
    sha256_message_begin(&m);
    sha256_message_copy(&m, ab, 2);
    memset(ab, 'x', 2); /* it was copied */
    sha256_message_copy_u32(&m, 0x01020304);
    sha256_message_copy_u64(&m, 0x0102030405060708);
    sha256_message_add(&m, "cd", 2);
    assert_int_equal(sha256_message_digest(&m, got, &e), ERR_OK);
    assert_int_equal(sha256_bytes(want, sizeof want - 1, expected, &e), ERR_OK);
    assert_memory_equal(got, expected, sizeof got);
}

static void test_numbers_are_parsed_whole(void **state)
{
    static const char *const bad_int[] = {"",    " 1",  "1 ", "1x", "+1",
                                          "0x1", "1.0", "11", "-1", "99999999999999999999"};
    static const char *const bad_double[] = {"",     " 1", "1x",  "nan", "inf",
                                             "-0.1", "3",  "1,5", "0x1"};
    struct err e = {0};
    int64_t i;
    double d;
    uint64_t u;
    (void)state;

    for (size_t k = 0; k < sizeof bad_int / sizeof *bad_int; k++) {
        assert_int_equal(cli_int(&i, bad_int[k], 0, 10, "--n", &e), ERR_USAGE);
        err_clear(&e);
    }
    for (size_t k = 0; k < sizeof bad_double / sizeof *bad_double; k++) {
        assert_int_equal(cli_double(&d, bad_double[k], 0, 2, "--r", &e), ERR_USAGE);
        err_clear(&e);
    }
    assert_int_equal(cli_int(&i, "10", 0, 10, "--n", &e), ERR_OK);
    assert_int_equal(i, 10);
    assert_int_equal(cli_double(&d, "0.5", 0, 2, "--r", &e), ERR_OK);
    assert_true(d == 0.5);
    assert_int_equal(cli_u64(&u, "18446744073709551615", "--seed", &e), ERR_OK);
    assert_true(u == UINT64_MAX);
    assert_int_equal(cli_u64(&u, "-1", "--seed", &e), ERR_USAGE);
}

static void test_numbers_are_written_short(void **state)
{
    static const struct {
        double v;
        const char *text;
    } table[] = {{0, "0"},           {10, "10"},         {100000, "100000"}, {-30, "-30"},
                 {1e6, "1e+06"},     {0.1, "0.1"},       {1e-5, "1e-05"},    {1.5e300, "1.5e+300"},
                 {123456, "123456"}, {2.5e-7, "2.5e-07"}};
    char text[32];

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        cli_format_double(text, sizeof text, table[i].v);
        assert_string_equal(text, table[i].text);
    }
    cli_format_double(text, sizeof text, 0.1 + 0.2);
    assert_true(strtod(text, NULL) == 0.1 + 0.2);
}

static void test_choice_suggests(void **state)
{
    static const char *const names[] = {"reference", "uniform", NULL};
    struct err e = {0};
    int i = -1;
    (void)state;

    assert_int_equal(cli_choice(&i, "uniform", names, "--grid", &e), ERR_OK);
    assert_int_equal(i, 1);
    assert_int_equal(cli_choice(&i, "unifrom", names, "--grid", &e), ERR_USAGE);
    assert_non_null(strstr(e.text, "did you mean 'uniform'"));
}

/* Levenshtein's definition. */
static size_t distance(const char *a, const char *b)
{
    size_t change, insert, remove;

    if (*a == '\0' || *b == '\0')
        return strlen(a) + strlen(b);
    change = distance(a + 1, b + 1) + (*a != *b);
    insert = distance(a, b + 1) + 1;
    remove = distance(a + 1, b) + 1;
    insert = insert < remove ? insert : remove;
    return change < insert ? change : insert;
}

static void word(char out[8], int number)
{
    int n = 0;

    for (; number > 0; number = (number - 1) / 2)
        out[n++] = number % 2 != 0 ? 'a' : 'b';
    out[n] = '\0';
}

/* All words of up to five letters a and b; then words as long as they may be, and longer. */
static void test_spelling_counts_slips(void **state)
{
    char a[8], b[8], text[65], other[65];
    (void)state;

    for (int i = 0; i < 63; i++) {
        word(a, i);
        for (int j = 0; j < 63; j++) {
            size_t d;

            word(b, j);
            d = distance(a, b);
            assert_int_equal(spelling_distance(a, b), d <= SPELLING_SLIPS ? d : SIZE_MAX);
        }
    }
    memset(text, 'x', sizeof text);
    text[63] = '\0';
    memcpy(other, text, sizeof other);
    other[0] = 'y';
    other[62] = '\0';
    assert_int_equal(spelling_distance(text, other), 2);
    assert_int_equal(spelling_distance(other, text), 2);
    text[63] = 'x';
    text[64] = '\0';
    assert_int_equal(spelling_distance(text, text), SIZE_MAX);
}

struct cover {
    int32_t seen[1000];
    int busy[8];
    int overlap;
};

static void visit(void *ctx, int64_t i, int worker)
{
    struct cover *c = ctx;

    if (__atomic_fetch_add(&c->busy[worker], 1, __ATOMIC_SEQ_CST) != 0)
        __atomic_store_n(&c->overlap, 1, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&c->seen[i], 1, __ATOMIC_SEQ_CST);
    __atomic_fetch_sub(&c->busy[worker], 1, __ATOMIC_SEQ_CST);
}

static void test_parallel_covers_each_once(void **state)
{
    (void)state;
    for (int threads = 0; threads <= 8; threads++) {
        struct cover c = {0};

        parallel_for(threads, 1000, visit, &c);
        for (int i = 0; i < 1000; i++)
            assert_int_equal(c.seen[i], 1);
        assert_false(c.overlap);
    }
    parallel_for(4, 0, visit, NULL);
    assert_true(parallel_cores() >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_err_first_wins_and_context),
        cmocka_unit_test(test_err_long_text_is_marked),
        cmocka_unit_test(test_err_lines_stop_at_twenty),
        cmocka_unit_test(test_err_masks_controls),
        cmocka_unit_test(test_exit_statuses),
        cmocka_unit_test(test_mem_refuses_overflow),
        cmocka_unit_test(test_hashes_known_answers),
        cmocka_unit_test(test_sha256_pair),
        cmocka_unit_test(test_sha256_messages),
        cmocka_unit_test(test_sha256_message_is_its_bytes),
        cmocka_unit_test(test_numbers_are_parsed_whole),
        cmocka_unit_test(test_numbers_are_written_short),
        cmocka_unit_test(test_choice_suggests),
        cmocka_unit_test(test_spelling_counts_slips),
        cmocka_unit_test(test_parallel_covers_each_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
