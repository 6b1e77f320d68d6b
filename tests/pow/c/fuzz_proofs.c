/* libFuzzer target over the C entry points that points and numbers of strangers reach.
 *
 * Theorem: whatever the bytes, an exponent or place that is too large is refused as a whole; what is good is what
 * plain numbers come to, and nothing else is; no memory outside the arguments is touched.
 */
#include <stdlib.h>
#include <string.h>

#include "stand_in_group.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds)
{
    if (!holds)
        abort();
}

/* An exact copy, so that the sanitizer sees a read beyond it. */
static void *copied(const void *from, size_t size, size_t room)
{
    uint8_t *copy = malloc(room);

    must(copy != NULL);
    memcpy(copy, from, size);
    return copy;
}

static int is_below_order(const uint8_t *scalar)
{
    static const uint8_t order[32] = {
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
        [31] = 0x10,
    };
    int below = 0;

    for (int i = 0; i < 32; i++)
        below = scalar[i] != order[i] ? scalar[i] < order[i] : below;
    return below;
}

static void fuzz_combine(const uint8_t *data, size_t size)
{
    size_t count = size / 128;
    uint8_t *terms = copied(data, 128 * count, 128 * count + 1), *results = malloc(32 * count + 1);
    uint8_t *good = malloc(count + 1);
    long long whole = 0;
    int refused = 0;

    must(results != NULL && good != NULL);
    for (size_t i = 0; i < 2 * count; i++)
        refused |= !is_below_order(terms + 64 * i + 32);
    long long done = votenet_combine(&stand_in_group, terms, count, results, good);
    must(done == -1 ? refused : !refused);
    for (size_t i = 0; i < count; i++) {
        const uint8_t *term = terms + 128 * i;
        int a = stand_in_read(term), b = stand_in_read(term + 64);
        int sum = a * stand_in_scalar(term + 32) + b * stand_in_scalar(term + 96);
        must(good[i] == (!refused && a >= 0 && b >= 0));
        must(!good[i] || stand_in_read(results + 32 * i) == sum % STAND_IN_ORDER);
        whole += good[i];
    }
    must(done == (refused ? -1 : whole));
    free(terms);
    free(results);
    free(good);
}

static void fuzz_pairs(const uint8_t *data, size_t size)
{
    size_t most = (size - 1) / 32, given = data[0] < most ? data[0] : most;
    size_t count = (--size - 32 * given) / 8;
    int refused = 0;

    data++;
    uint8_t *points = copied(data, 32 * given, 32 * (given + count) + 1), *good = malloc(count + 1);
    uint32_t *pairs = copied(data + 32 * given, 8 * count, 8 * count + 1);
    int *numbers = malloc((given + count + 1) * sizeof(int));

    must(good != NULL && numbers != NULL);
    for (size_t i = 0; i < 2 * count; i++) {
        if (pairs[i] < 0xffffff00u) /* most places are such that there is something to add */
            pairs[i] %= (uint32_t)(given + i / 2 + 1);
        refused |= pairs[i] >= given + i / 2;
    }
    for (size_t i = 0; i < given; i++)
        numbers[i] = stand_in_read(points + 32 * i);
    long long done = votenet_add_pairs(&stand_in_group, points, given, pairs, count, good), whole = 0;
    must(done == -1 ? refused : !refused);
    for (size_t i = 0; i < count && !refused; i++) {
        int a = numbers[pairs[2 * i]], b = numbers[pairs[2 * i + 1]];
        numbers[given + i] = a < 0 || b < 0 ? -1 : (a + b) % STAND_IN_ORDER;
        must(good[i] == (numbers[given + i] >= 0));
        must(!good[i] || stand_in_read(points + 32 * (given + i)) == numbers[given + i]);
        whole += good[i];
    }
    must(done == (refused ? -1 : whole));
    free(points);
    free(good);
    free(pairs);
    free(numbers);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    if (data[0] & 1)
        fuzz_combine(data + 1, size - 1);
    else
        fuzz_pairs(data + 1, size - 1);
    return 0;
}
