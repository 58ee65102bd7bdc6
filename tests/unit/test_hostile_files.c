/* SPDX-License-Identifier: MIT */
/* Container files made to deceive: each is refused with exit status 4 and a message of its own, by
 * the library and by synib-shard. */
#include "common/base/bytes.h"
#include "common/base/file.h"
#include "common/data/tensorfile_format.h"
#include "tests/support/check.h"
#include "tests/support/hostile.h"
#include "tests/support/naive_reader.h"
#include "tests/support/scratch.h"

#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- pieces of headers ---- */

#define TENSOR(name, dtype, shape, offsets) \
    "\"" name "\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}"
#define WITH(tensors) "{" HOSTILE_META "," tensors "," HOSTILE_REST "}"
#define X(dtype, shape, offsets) WITH(TENSOR("x", dtype, shape, offsets))
#define WITH_META(meta) "{\"__metadata__\":" meta "," HOSTILE_X "," HOSTILE_REST "}"
#define KIND "\"synib.kind\":\"checkpoint\""
#define ONE "\"synib.container\":\"1\""
#define UP_TO_PAD0 "{" HOSTILE_META "," HOSTILE_X
#define UP_TO_TABLE UP_TO_PAD0 "," HOSTILE_PAD0
#define UP_TO_PAD1 UP_TO_TABLE "," HOSTILE_TABLE
#define UP_TO_TRAILER UP_TO_PAD1 "," HOSTILE_PAD1

/* ---- files ---- */

struct made {
    uint8_t *bytes;
    size_t len;
};

enum where { START, BUFFER, TRAILER };

struct recipe {
    const char *what;
    const char *header;           /* NULL: HOSTILE_GOOD */
    void (*make)(struct made *m); /* or this, where a text in the table would be too long */
    long resize;                  /* bytes added behind, or cut off */
    enum where where;             /* then `put` is written over the bytes here */
    size_t at, n;
    const char *put;
    bool seal; /* then the trailer is made to fit */
    const char *message;
};

#define PUT(place, offset, text) .where = place, .at = offset, .put = text, .n = sizeof text - 1

static uint8_t *trailer_of(const struct made *m)
{
    return m->bytes + m->len - TF_TRAILER_BYTES;
}

/* Makes the trailer fit what is before it, as a forger would. */
static void seal(const struct made *m)
{
    uint64_t header = load_le64(m->bytes);

    store_le64(trailer_of(m) + TF_AT_FILE_LENGTH, m->len);
    store_le64(trailer_of(m) + TF_AT_HEADER_LENGTH, header);
    store_le32(trailer_of(m) + TF_AT_HEADER_CRC, naive_crc32c(m->bytes, 8 + header));
    hostile_reseal(m->bytes, m->len);
}

static void resize(struct made *m, long by)
{
    size_t len = by < 0 && (size_t)-by > m->len ? 0 : m->len + (size_t)by;

    m->bytes = realloc(m->bytes, len + 1);
    assert_non_null(m->bytes);
    if (len > m->len)
        memset(m->bytes + m->len, 0, len - m->len);
    m->len = len;
}

static void second_trailer(struct made *m)
{
    resize(m, TF_TRAILER_BYTES);
    memcpy(trailer_of(m), trailer_of(m) - TF_TRAILER_BYTES, TF_TRAILER_BYTES);
}

static void header_unaligned(struct made *m)
{
    store_le64(m->bytes, load_le64(m->bytes) - 1);
    seal(m);
}

static void header_reaches_end(struct made *m)
{
    store_le64(m->bytes, m->len - 8);
}

static void length_lies(struct made *m)
{
    store_le64(trailer_of(m) + TF_AT_FILE_LENGTH, m->len + 64);
    hostile_reseal(m->bytes, m->len);
}

static void header_length_lies(struct made *m)
{
    store_le64(trailer_of(m) + TF_AT_HEADER_LENGTH, 56);
    hostile_reseal(m->bytes, m->len);
}

/* A header of `before`, `piece` n times and `after`; '#' in the piece stands for its number. */
static void repeat(struct made *m, const char *before, const char *piece, int n, const char *after)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    assert_non_null(f);
    fputs(before, f);
    for (int i = 0; i < n; i++)
        for (const char *p = piece; *p != '\0'; p++)
            if (*p == '#')
                fprintf(f, "%d", i);
            else
                fputc(*p, f);
    fputs(after, f);
    assert_int_equal(fclose(f), 0);
    free(m->bytes);
    m->bytes = hostile_build(text, HOSTILE_BUFFER, &m->len);
    free(text);
}

static void deep_lists(struct made *m)
{
    repeat(m, "{\"x\":", "[", 200000, "1}");
}

static void deep_objects(struct made *m)
{
    repeat(m, "", "{\"x\":", 100000, "1}");
}

static void many_metadata(struct made *m)
{
    repeat(m, "{\"__metadata__\":{" ONE "," KIND, ",\"k#\":\"\"", 127,
           "}," HOSTILE_X "," HOSTILE_REST "}");
}

static void long_key(struct made *m)
{
    repeat(m, "{\"__metadata__\":{" ONE "," KIND ",\"", "k", 65,
           "\":\"\"}," HOSTILE_X "," HOSTILE_REST "}");
}

static void long_name(struct made *m)
{
    repeat(m, "{" HOSTILE_META ",\"", "n", 128,
           "\":{\"dtype\":\"U8\",\"shape\":[64],\"data_offsets\":[0,64]}}");
}

static void many_tensors(struct made *m)
{
    char *all = NULL;
    size_t len;
    FILE *f = open_memstream(&all, &len);

    assert_non_null(f);
    for (int i = 0; i <= TENSORFILE_MAX_TENSORS; i++)
        fprintf(f, "," TENSOR("t%d", "\"U8\"", "[64]", "[%d,%d]"), i, 64 * i, 64 * i + 64);
    assert_int_equal(fclose(f), 0);
    repeat(m, "{" HOSTILE_META, all, 1, "}");
    free(all);
}

static const struct recipe recipes[] = {
    /* not a container at all */
    {"empty file", .resize = -100000, .message = "has 0 bytes: too short"},
    {"text", PUT(START, 0, "clip\tlabel\n"), .message = "header length 7089066076254334051 is not"},
    {"zip archive", PUT(START, 0, "PK\x03\x04\x14\0\0\0"),
     .message = "header length 85966670672 is not"},
    {"git-lfs pointer", PUT(START, 0, "version https://git-lfs"),
     .message = "header length 2336927755350992246 is not"},
    {"a list", .header = "[1]", .message = "header does not begin with '{'"},
    {"plain safetensors", .header = "{" HOSTILE_X "}",
     .message = "header does not begin with __metadata__"},
    {"text behind the object", .header = HOSTILE_GOOD " 1",
     .message = "without '}': not a safetensors file"},
    {"brace behind the object", .header = HOSTILE_GOOD "}",
     .message = "header is not valid JSON: end of file expected"},
    {"empty object", .header = "{}", .message = "header is empty"},
    {"control character", .header = "{\n" HOSTILE_META "," HOSTILE_X "," HOSTILE_REST "}",
     .message = "control character at byte 9"},
    {"comment", .header = "{/**/" HOSTILE_META "," HOSTILE_X "," HOSTILE_REST "}",
     .message = "header is not valid JSON: string or '}' expected near '/'"},
    {"comma at the end", .header = "{" HOSTILE_META "," HOSTILE_X "," HOSTILE_REST ",}",
     .message = "header is not valid JSON: string or '}' expected near '}'"},
    /* lengths that lie */
    {"header of no byte", PUT(START, 0, "\0\0\0\0\0\0\0\0"), .message = "header length 0 is not"},
    {"header of one byte", PUT(START, 0, "\1\0\0\0\0\0\0\0"), .message = "header length 1 is not"},
    {"header over the limit", PUT(START, 0, "\1\0\x10\0\0\0\0\0"),
     .message = "header length 1048577 is not"},
    {"header of 2^64 - 1 bytes", PUT(START, 0, "\xff\xff\xff\xff\xff\xff\xff\xff"),
     .message = "header length 18446744073709551615 is not"},
    {"header whose end wraps", PUT(START, 0, "\xf8\xff\xff\xff\xff\xff\xff\xff"),
     .message = "header length 18446744073709551608 is not"},
    {"header of 2^63 bytes", PUT(START, 0, "\0\0\0\0\0\0\0\x80"),
     .message = "header length 9223372036854775808 is not"},
    {"header of a mebibyte", PUT(START, 0, "\0\0\x10\0\0\0\0\0"),
     .message = "ends inside its header of 1048576 bytes"},
    {"header up to the end", .make = header_reaches_end, .message = "header ends at byte"},
    {"header not aligned", .make = header_unaligned, .message = "header ends at"},
    {"header length in the trailer", .make = header_length_lies,
     .message = "header length differs from the trailer"},
    {"file length in the trailer", .make = length_lies, .message = "its trailer says"},
    {"count in the trailer", PUT(TRAILER, TF_AT_COUNT, "\7"), .seal = true,
     .message = "trailer counts 7 tensors, the header 1"},
    /* longer and shorter */
    {"cut in the header", .resize = -400, .message = "ends inside its header of"},
    {"last byte missing", .resize = -1, .message = "bytes: restore it or make it again"},
    {"no trailer", .resize = -64, .message = "bytes: restore it or make it again"},
    {"one byte behind the end", .resize = 1, .message = "has 1 bytes after its end"},
    {"4096 bytes behind the end", .resize = 4096, .message = "has 4096 bytes after its end"},
    {"second trailer", .make = second_trailer, .message = "its trailer says"},
    {"block behind the end, sealed", .make = second_trailer, .seal = true,
     .message = "has 640 bytes, its header describes 576"},
    /* checksums and what stands around them */
    {"text-mode transfer", PUT(TRAILER, 4, "\n\n"), .message = "trailer: magic differs"},
    {"byte of the trailer", PUT(TRAILER, 33, "\xff"), .message = "trailer: crc32c differs"},
    {"version 2", PUT(TRAILER, TF_AT_VERSION, "\2"), .seal = true,
     .message = "trailer is of version 2"},
    {"version 0", PUT(TRAILER, TF_AT_VERSION, "\0"), .seal = true,
     .message = "trailer is of version 0"},
    {"reserved byte", PUT(TRAILER, TF_AT_ZERO + 3, "\1"), .seal = true,
     .message = "trailer: reserved bytes are not zero"},
    {"byte of the header", PUT(START, 40, "?"), .message = "header: crc32c differs"},
    {"padding behind a tensor", PUT(BUFFER, 9, "?"), .message = "padding at byte"},
    {"padding before the trailer", PUT(BUFFER, 127, "?"), .message = "padding at byte"},
    {"table of checksums", PUT(BUFFER, 64, "????"), .message = "tensor '_crc32c': crc32c differs"},
    /* the same key twice */
    {"tensor twice", .header = WITH(HOSTILE_X "," HOSTILE_X), .message = "duplicate object key"},
    {"tensor twice, once escaped",
     .header = WITH(HOSTILE_X "," TENSOR("\\u0078", "\"I32\"", "[2]", "[64,72]")),
     .message = "duplicate object key"},
    {"metadata twice",
     .header = "{" HOSTILE_META "," HOSTILE_META "," HOSTILE_X "," HOSTILE_REST "}",
     .message = "duplicate object key"},
    {"metadata key twice", .header = WITH_META("{" ONE "," KIND "," KIND "}"),
     .message = "duplicate object key"},
    {"dtype twice",
     .header =
         WITH("\"x\":{\"dtype\":\"I32\",\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,8]}"),
     .message = "duplicate object key"},
    {"offsets twice",
     .header = WITH(
         "\"x\":{\"data_offsets\":[0,8],\"data_offsets\":[0,4],\"dtype\":\"I32\",\"shape\":[2]}"),
     .message = "duplicate object key"},
    {"trailer twice", .header = WITH(HOSTILE_X "," HOSTILE_REST),
     .message = "duplicate object key"},
    /* text that is none */
    {"NUL in a name", .header = WITH(TENSOR("x\\u0000y", "\"I32\"", "[2]", "[0,8]")),
     .message = "header is not valid JSON: NUL byte in object key"},
    {"NUL in metadata", .header = WITH_META("{" ONE "," KIND ",\"n\":\"\\u0000\"}"),
     .message = "header is not valid JSON: \\u0000 is not allowed"},
    {"byte 0xff", .header = WITH_META("{" ONE "," KIND ",\"n\":\"\xff\"}"),
     .message = "header is not valid JSON: unable to decode byte 0xff"},
    {"overlong UTF-8", .header = WITH_META("{" ONE "," KIND ",\"n\":\"\xc0\xaf\"}"),
     .message = "header is not valid JSON: unable to decode byte 0xc0"},
    {"UTF-8 cut short", .header = WITH_META("{" ONE "," KIND ",\"n\":\"\xe2\x82\"}"),
     .message = "header is not valid JSON: unable to decode byte 0xe2"},
    {"surrogate alone", .header = WITH_META("{" ONE "," KIND ",\"n\":\"\\ud800\"}"),
     .message = "header is not valid JSON: invalid Unicode"},
    {"unfinished escape", .header = WITH_META("{" ONE "," KIND ",\"n\":\"\\u00\"}"),
     .message = "header is not valid JSON: invalid escape"},
    /* metadata */
    {"metadata is a list", .header = WITH_META("[]"),
     .message = "__metadata__ is a list, not an object"},
    {"metadata is a string", .header = WITH_META("\"\""),
     .message = "__metadata__ is a string, not an object"},
    {"no version", .header = WITH_META("{" KIND "}"), .message = "'synib.container' is missing"},
    {"version 2", .header = WITH_META("{\"synib.container\":\"2\"," KIND "}"),
     .message = "container version '2'"},
    {"no kind", .header = WITH_META("{" ONE "}"), .message = "'synib.kind' is missing"},
    {"unknown kind", .header = WITH_META("{" ONE ",\"synib.kind\":\"model\"}"),
     .message = "unknown kind 'model'"},
    {"unknown feature", .header = WITH_META("{" ONE "," KIND ",\"synib.features\":\"zstd\"}"),
     .message = "needs the feature 'zstd'"},
    {"number in metadata", .header = WITH_META("{" ONE "," KIND ",\"n\":1}"),
     .message = "metadata 'n' is a whole number, not a string"},
    {"list in metadata", .header = WITH_META("{" ONE "," KIND ",\"n\":[]}"),
     .message = "metadata 'n' is a list, not a string"},
    {"null in metadata", .header = WITH_META("{" ONE "," KIND ",\"n\":null}"),
     .message = "metadata 'n' is null, not a string"},
    {"space in a key", .header = WITH_META("{" ONE "," KIND ",\"a b\":\"\"}"),
     .message = "the key 'a b', which is not a key"},
    {"empty key", .header = WITH_META("{" ONE "," KIND ",\"\":\"\"}"),
     .message = "the key '', which is not a key"},
    {"key of 65 characters", .make = long_key, .message = "kkk', which is not a key"},
    {"129 entries", .make = many_metadata, .message = "__metadata__ has more than 128 entries"},
    /* depth and number */
    {"200,000 lists in one another", .make = deep_lists,
     .message = "nested deeper than 3 levels at byte"},
    {"100,000 objects in one another", .make = deep_objects,
     .message = "nested deeper than 3 levels at byte"},
    {"1025 tensors", .make = many_tensors, .message = "has more than 1024 tensors"},
    {"no tensor", .header = "{" HOSTILE_META "}", .message = "holds no tensor"},
    /* names */
    {"space in a name", .header = WITH(TENSOR("x y", "\"I32\"", "[2]", "[0,8]")),
     .message = "tensor 'x y': is not a tensor name"},
    {"slash in a name", .header = WITH(TENSOR("../x", "\"I32\"", "[2]", "[0,8]")),
     .message = "tensor '../x': is not a tensor name"},
    {"empty name", .header = WITH(TENSOR("", "\"I32\"", "[2]", "[0,8]")),
     .message = "tensor '': is not a tensor name"},
    {"terminal escape in a name", .header = WITH(TENSOR("\\u001b[2J", "\"I32\"", "[2]", "[0,8]")),
     .message = "[2J': is not a tensor name"},
    {"name that is not ASCII", .header = WITH(TENSOR("\xc3\xa9", "\"I32\"", "[2]", "[0,8]")),
     .message = "': is not a tensor name"},
    {"name of 128 characters", .make = long_name, .message = "': is not a tensor name"},
    /* what a tensor is made of */
    {"tensor is a number", .header = WITH("\"x\":7"),
     .message = "tensor 'x': is a whole number, not an object"},
    {"no dtype", .header = WITH("\"x\":{\"shape\":[2],\"data_offsets\":[0,8]}"),
     .message = "tensor 'x': lacks dtype"},
    {"no shape", .header = WITH("\"x\":{\"dtype\":\"I32\",\"data_offsets\":[0,8]}"),
     .message = "tensor 'x': lacks shape"},
    {"no offsets", .header = WITH("\"x\":{\"dtype\":\"I32\",\"shape\":[2]}"),
     .message = "tensor 'x': lacks data_offsets"},
    {"one key more",
     .header =
         WITH("\"x\":{\"dtype\":\"I32\",\"shape\":[2],\"data_offsets\":[0,8],\"stride\":[4]}"),
     .message = "has other keys than"},
    {"half floats", .header = X("\"F16\"", "[4]", "[0,8]"), .message = "dtype 'F16' is not one of"},
    {"unsigned", .header = X("\"U64\"", "[1]", "[0,8]"), .message = "dtype 'U64' is not one of"},
    {"small letters", .header = X("\"i32\"", "[2]", "[0,8]"),
     .message = "dtype 'i32' is not one of"},
    {"dtype is a number", .header = X("4", "[2]", "[0,8]"),
     .message = "dtype is a whole number, not a string"},
    {"square trailer",
     .header = "{" HOSTILE_META "," HOSTILE_X "," HOSTILE_PAD0 "," HOSTILE_TABLE "," HOSTILE_PAD1
               "," TENSOR("_trailer", "\"U8\"", "[8,8]", "[128,192]") "}",
     .message = "tensor '_trailer': is U8 [8, 8], must be U8 [64]"},
    /* shapes */
    {"shape is a number", .header = X("\"I32\"", "2", "[0,8]"),
     .message = "shape is a whole number, not a list"},
    {"rank 6", .header = X("\"I32\"", "[1,1,1,1,1,2]", "[0,8]"),
     .message = "rank 6 is more than 5"},
    {"fraction", .header = X("\"I32\"", "[2.0]", "[0,8]"),
     .message = "dimension 0 is a number with fraction or exponent"},
    {"exponent", .header = X("\"I32\"", "[1,2e0]", "[0,8]"),
     .message = "dimension 1 is a number with fraction or exponent"},
    {"text", .header = X("\"I32\"", "[\"2\"]", "[0,8]"),
     .message = "dimension 0 is a string, not a whole number"},
    {"true", .header = X("\"I32\"", "[true]", "[0,8]"),
     .message = "dimension 0 is true, not a whole number"},
    {"false", .header = X("\"I32\"", "[2,false]", "[0,8]"),
     .message = "dimension 1 is false, not a whole number"},
    {"null", .header = X("\"I32\"", "[null]", "[0,8]"),
     .message = "dimension 0 is null, not a whole number"},
    {"object", .header = X("\"I32\"", "{}", "[0,8]"), .message = "shape is an object, not a list"},
    {"no element", .header = X("\"I32\"", "[0]", "[0,0]"),
     .message = "dimension 0 is 0, less than 1"},
    {"no element, second dimension", .header = X("\"I32\"", "[2,0]", "[0,0]"),
     .message = "dimension 1 is 0, less than 1"},
    {"two empty tensors in one place",
     .header = WITH(HOSTILE_X "," TENSOR("y", "\"U8\"", "[0]", "[8,8]") "," TENSOR("z", "\"U8\"",
                                                                                   "[0]", "[8,8]")),
     .message = "tensor 'y': dimension 0 is 0"},
    {"negative", .header = X("\"I32\"", "[-2]", "[0,8]"),
     .message = "dimension 0 is -2, less than 1"},
    {"two negatives", .header = X("\"I32\"", "[-1,-2]", "[0,8]"),
     .message = "dimension 0 is -1, less than 1"},
    {"product over 2^64", .header = X("\"I32\"", "[4294967296,4294967296]", "[0,8]"),
     .message = "its size, I32 [4294967296, 4294967296], overflows"},
    {"product that wraps to 8", .header = X("\"I32\"", "[2147483649,8589934594]", "[0,8]"),
     .message = "its size, I32 [2147483649, 8589934594], overflows"},
    {"bytes over 2^63", .header = X("\"I64\"", "[1152921504606846976]", "[0,8]"),
     .message = "its size, I64 [1152921504606846976], overflows"},
    {"largest number", .header = X("\"I32\"", "[9223372036854775807]", "[0,8]"),
     .message = "its size, I32 [9223372036854775807], overflows"},
    {"number over 2^63", .header = X("\"I32\"", "[9223372036854775808]", "[0,8]"),
     .message = "too big integer"},
    {"number of 20 digits", .header = X("\"I32\"", "[99999999999999999999]", "[0,8]"),
     .message = "too big integer"},
    {"real over the range", .header = X("\"I32\"", "[1e999]", "[0,8]"),
     .message = "real number overflow"},
    {"leading zero", .header = X("\"I32\"", "[02]", "[0,8]"),
     .message = "header is not valid JSON"},
    {"not a number", .header = X("\"I32\"", "[NaN]", "[0,8]"),
     .message = "header is not valid JSON"},
    /* offsets */
    {"offsets are an object", .header = X("\"I32\"", "[2]", "{}"),
     .message = "data_offsets is an object, not a pair"},
    {"one offset", .header = X("\"I32\"", "[2]", "[0]"),
     .message = "data_offsets has 1 numbers, not 2"},
    {"three offsets", .header = X("\"I32\"", "[2]", "[0,8,9]"),
     .message = "data_offsets has 3 numbers, not 2"},
    {"fraction at the end", .header = X("\"I32\"", "[2]", "[0,8.0]"),
     .message = "the end of data_offsets is a number with"},
    {"text at the beginning", .header = X("\"I32\"", "[2]", "[\"0\",8]"),
     .message = "the begin of data_offsets is a string"},
    {"negative", .header = X("\"I32\"", "[2]", "[-8,0]"),
     .message = "data_offsets [-8, 0] are negative"},
    {"backwards", .header = X("\"I32\"", "[2]", "[8,0]"),
     .message = "data_offsets [8, 0] run backwards"},
    {"hole", .header = X("\"I32\"", "[2]", "[64,72]"), .message = "leaves a hole of 64 bytes"},
    {"overlap", .header = WITH(HOSTILE_X "," TENSOR("y", "\"I32\"", "[2]", "[0,8]")),
     .message = "tensor 'y': overlaps the tensor before it by 8"},
    {"overlap of four bytes", .header = WITH(HOSTILE_X "," TENSOR("y", "\"I32\"", "[2]", "[4,12]")),
     .message = "tensor 'y': overlaps the tensor before it by 4"},
    {"more bytes than the shape", .header = X("\"I32\"", "[2]", "[0,16]"),
     .message = "span 16 bytes, its shape takes 8"},
    {"fewer bytes than the shape", .header = X("\"I32\"", "[2]", "[0,4]"),
     .message = "span 4 bytes, its shape takes 8"},
    {"up to 2^63 - 1", .header = X("\"I32\"", "[2]", "[0,9223372036854775807]"),
     .message = "span 9223372036854775807 bytes"},
    {"not aligned", .header = WITH(HOSTILE_X "," TENSOR("y", "\"I32\"", "[2]", "[8,16]")),
     .message = "tensor 'y': begins at 8, not a multiple of 64"},
    {"data past the end",
     .header = "{" HOSTILE_META "," TENSOR("x", "\"U8\"", "[6400]", "[0,6400]") "," TENSOR(
         "_crc32c", "\"I32\"", "[1]",
         "[6400,6404]") "," TENSOR("_pad.0", "\"U8\"", "[60]",
                                   "[6404,6464]") "," TENSOR("_trailer", "\"U8\"", "[64]",
                                                             "[6464,6528]") "}",
     .message = "bytes, its header describes"},
    /* the container's own tensors */
    {"reserved name", .header = "{" HOSTILE_META "," TENSOR("_more", "\"I32\"", "[2]", "[0,8]") "}",
     .message = "tensor '_more': the name is reserved"},
    {"padding out of turn",
     .header = UP_TO_PAD0 "," TENSOR("_pad.1", "\"U8\"", "[56]", "[8,64]") "}",
     .message = "tensor '_pad.1': the next padding is '_pad.0'"},
    {"padding with a zero in front",
     .header = UP_TO_PAD0 "," TENSOR("_pad.00", "\"U8\"", "[56]", "[8,64]") "}",
     .message = "tensor '_pad.00': the next padding is '_pad.0'"},
    {"padding too short", .header = UP_TO_PAD0 "," TENSOR("_pad.0", "\"U8\"", "[8]", "[8,16]") "}",
     .message = "is U8 [8], the padding here is U8 [56]"},
    {"padding of numbers",
     .header = UP_TO_PAD0 "," TENSOR("_pad.0", "\"I32\"", "[14]", "[8,64]") "}",
     .message = "is I32 [14], the padding here is U8 [56]"},
    {"padding where none belongs",
     .header = "{" HOSTILE_META "," TENSOR("_pad.0", "\"U8\"", "[64]", "[0,64]") "}",
     .message = "tensor '_pad.0': no padding belongs here"},
    {"two checksums for one tensor",
     .header = UP_TO_TABLE "," TENSOR("_crc32c", "\"I32\"", "[2]", "[64,72]") "}",
     .message = "'_crc32c': is I32 [2], must be I32 [1]"},
    {"checksums of another type",
     .header = UP_TO_TABLE "," TENSOR("_crc32c", "\"F32\"", "[1]", "[64,68]") "}",
     .message = "'_crc32c': is F32 [1], must be I32 [1]"},
    {"no checksums", .header = UP_TO_TABLE "," TENSOR("_trailer", "\"U8\"", "[64]", "[64,128]") "}",
     .message = "'_crc32c' is missing before"},
    {"no trailer tensor", .header = UP_TO_TRAILER "}", .message = "'_trailer' is missing"},
    {"trailer of 32 bytes",
     .header = UP_TO_TRAILER "," TENSOR("_trailer", "\"U8\"", "[32]", "[128,160]") "}",
     .message = "'_trailer': is U8 [32], must be U8 [64]"},
    {"tensor behind the checksums",
     .header = UP_TO_TRAILER "," TENSOR("z", "\"U8\"", "[64]", "[128,192]") "}",
     .message = "tensor 'z': comes after '_crc32c'"},
    {"tensor behind the trailer",
     .header = UP_TO_TRAILER "," HOSTILE_TRAILER "," TENSOR("z", "\"U8\"", "[64]", "[192,256]") "}",
     .message = "tensor 'z': comes after '_trailer'"},
};
enum { N_RECIPES = sizeof recipes / sizeof recipes[0] };
static_assert(N_RECIPES >= 60, "issue: at least 60 hostile files");

static void make_file(const struct recipe *r, const char *path)
{
    struct made m = {0};
    FILE *f = fopen(path, "wb");

    m.bytes = hostile_build(r->header != NULL ? r->header : HOSTILE_GOOD, HOSTILE_BUFFER, &m.len);
    if (r->make != NULL)
        r->make(&m);
    resize(&m, r->resize);
    if (r->put != NULL) {
        size_t from = r->where == START    ? 0
                      : r->where == BUFFER ? hostile_buffer_at(m.bytes)
                                           : m.len - TF_TRAILER_BYTES;

        assert_true(from + r->at + r->n <= m.len);
        memcpy(m.bytes + from + r->at, r->put, r->n);
    }
    if (r->seal)
        seal(&m);
    assert_non_null(f);
    assert_int_equal(fwrite(m.bytes, 1, m.len, f), m.len);
    assert_int_equal(fclose(f), 0);
    free(m.bytes);
}

/* What the cases start from is fine. */
static void test_good(void **state)
{
    const struct recipe good = {"good", .message = ""};
    char *path = scratch_path(*state, "x.safetensors");
    struct tensorfile *f = NULL;
    struct err e = {0};

    make_file(&good, path);
    ASSERT_OK(tensorfile_open(&f, path, &e), e);
    ASSERT_OK(tensorfile_verify_all(f, &e), e);
    tensorfile_close(f);
    free(path);
}

static void test_refused(void **state)
{
    char *path = scratch_path(*state, "x.safetensors"), *said[N_RECIPES];

    for (int i = 0; i < N_RECIPES; i++) {
        const struct recipe *r = &recipes[i];
        struct tensorfile *f = NULL;
        struct err e = {0};

        make_file(r, path);
        if (tensorfile_open(&f, path, &e) == ERR_OK || f != NULL || err_exit_status(e.code) != 4)
            fail_msg("%s: %d: %s", r->what, e.code, e.text);
        if (strncmp(e.text, path, strlen(path)) != 0 || strstr(e.text, r->message) == NULL)
            fail_msg("%s: '%s', not \"%s\"", r->what, e.text, r->message);
        said[i] = strdup(e.text);
        assert_non_null(said[i]);
        for (int k = 0; k < i; k++)
            if (strcmp(said[k], said[i]) == 0)
                fail_msg("'%s' and '%s' are told by the same words: %s", recipes[k].what, r->what,
                         said[i]);
    }
    for (int i = 0; i < N_RECIPES; i++)
        free(said[i]);
    free(path);
}

/* Runs synib-shard COMMAND PATH; its exit status, and what it wrote to stdout and stderr. */
static int run_tool(const char *command, const char *path, char *out, size_t size)
{
    char *argv[] = {BIN_DIR "/synib-shard", (char *)(uintptr_t)command, (char *)(uintptr_t)path,
                    NULL};
    posix_spawn_file_actions_t actions;
    int pipes[2], status;
    size_t got = 0;
    ssize_t n;
    pid_t child;

    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
    assert_int_equal(posix_spawn_file_actions_adddup2(&actions, pipes[1], 1), 0);
    assert_int_equal(posix_spawn_file_actions_adddup2(&actions, pipes[1], 2), 0);
    if (posix_spawn(&child, argv[0], &actions, NULL, argv, environ) != 0)
        fail_msg("%s does not start: build it first", argv[0]);
    posix_spawn_file_actions_destroy(&actions);
    close(pipes[1]);
    while (got < size - 1 && (n = read(pipes[0], out + got, size - 1 - got)) > 0)
        got += (size_t)n;
    out[got] = '\0';
    close(pipes[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* One line, without a control character whatever the file holds, and exit status 4. */
static void test_tools(void **state)
{
    static const char *const commands[] = {"verify", "ls", "dump"};
    char *path = scratch_path(*state, "x.safetensors"), out[16384];

    for (int i = 0; i < N_RECIPES; i++) {
        make_file(&recipes[i], path);
        for (int c = 0; c < 3; c++) {
            int status = run_tool(commands[c], path, out, sizeof out);
            const char *end = strchr(out, '\n');

            if (status != 4 || strstr(out, path) == NULL || end == NULL || end[1] != '\0' ||
                strchr(out, '\x1b') != NULL)
                fail_msg("%s: %s: status %d: %s", recipes[i].what, commands[c], status, out);
        }
    }
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_good, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_refused, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_tools, scratch_setup, scratch_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
