/* Every kernel of this machine against an independent SHA-256, without Python: for sanitizers and emulators.
 *
 * Random and edge-case searches, alignment, buffers that end at an unreadable page, batch checks of damaged
 * chains; records of votes, products and sums of points, with a stand-in for libsodium; Merkle roots. Prints one line for each kernel; exits
 * 1 at the first disagreement.
 *
 *   check_kernels [rounds]
 */
#define _DEFAULT_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pow.h"
#include "sha256_constants.h"
#include "stand_in_group.h"
#include "votes_cdef.h"

#define CHECK(what)                                                                                    \
    do {                                                                                               \
        if (!(what)) {                                                                                 \
            printf("%s: line %d: %s\n", name, __LINE__, #what);                                        \
            exit(1);                                                                                   \
        }                                                                                              \
    } while (0)

static uint64_t seed = 0x9e3779b97f4a7c15u;

static uint32_t random32(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 16);
}

static void fill(uint8_t *p, size_t size)
{
    while (size-- > 0)
        *p++ = (uint8_t)random32();
}

/* SHA-256 once more, word for word as FIPS 180-4 section 6.2.2 writes it, sharing only the constants. */
static void plain_sha256(const uint8_t *data, size_t size, uint8_t digest[32])
{
    uint8_t padded[192] = {0};
    uint32_t h[8];
    size_t blocks = (size + 8) / 64 + 1;

    memcpy(padded, data, size);
    padded[size] = 0x80;
    for (int i = 0; i < 8; i++)
        padded[64 * blocks - 1 - (size_t)i] = (uint8_t)(8 * size >> 8 * i);
    memcpy(h, sha256_iv, sizeof(h));
    for (size_t b = 0; b < blocks; b++) {
        uint32_t w[64], v[8];
        for (int t = 0; t < 64; t++) {
            const uint8_t *p = padded + 64 * b + 4 * t;
            if (t < 16)
                w[t] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
            else
                w[t] = (rotr32(w[t - 2], 17) ^ rotr32(w[t - 2], 19) ^ w[t - 2] >> 10) + w[t - 7] +
                       (rotr32(w[t - 15], 7) ^ rotr32(w[t - 15], 18) ^ w[t - 15] >> 3) + w[t - 16];
        }
        memcpy(v, h, sizeof(v));
        for (int t = 0; t < 64; t++) {
            uint32_t t1 = v[7] + (rotr32(v[4], 6) ^ rotr32(v[4], 11) ^ rotr32(v[4], 25)) +
                          ((v[4] & v[5]) ^ (~v[4] & v[6])) + sha256_k[t] + w[t];
            uint32_t t2 = (rotr32(v[0], 2) ^ rotr32(v[0], 13) ^ rotr32(v[0], 22)) +
                          ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
            for (int i = 7; i > 0; i--)
                v[i] = v[i - 1];
            v[4] += t1;
            v[0] = t1 + t2;
        }
        for (int i = 0; i < 8; i++)
            h[i] += v[i];
    }
    for (int i = 0; i < 8; i++)
        store_be32(digest + 4 * i, h[i]);
}

static void plain_hash(const uint8_t *header, uint32_t nonce, uint8_t hash[32])
{
    uint8_t solved[80], once[32];

    memcpy(solved, header, 76);
    for (int i = 0; i < 4; i++)
        solved[76 + i] = (uint8_t)(nonce >> 8 * i);
    plain_sha256(solved, 80, once);
    plain_sha256(once, 32, hash);
}

/* The first of [start, start + count) that meets the target, or count. */
static uint32_t plain_search(const uint8_t *header, const uint8_t *target, uint32_t start, uint32_t count)
{
    uint8_t hash[32];

    for (uint32_t i = 0; i < count; i++) {
        plain_hash(header, start + i, hash);
        if (pow_meets(hash, target))
            return i;
    }
    return count;
}

/* `size` bytes, at some alignment, that end where an unreadable page begins. */
static uint8_t *guarded(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (size + page - 1) / page * page;
    uint8_t *memory = mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED || mprotect(memory + room, page, PROT_NONE) != 0)
        abort();
    return memory + room - size;
}

static void check_searches(int kernel, const char *name, int rounds)
{
    uint8_t *header = guarded(80), *target = guarded(32);

    for (int round = 0; round < rounds; round++) {
        uint32_t count = random32() % 70, nonce = 0;
        uint32_t start = round % 3 == 0 ? 0u - count : round % 3 == 1 ? random32() % 0xffffff00u : 0;
        fill(header, 80);
        fill(target, 32);
        /* from hopeless through about one in 64 to always */
        target[31] = (uint8_t)(round % 5 == 0 ? 0 : round % 5 == 1 ? 255 : random32() % 8);
        if (round % 7 == 0)
            plain_hash(header, start + count / 2, target); /* a hash that is its own target */
        uint32_t expected = plain_search(header, target, start, count);
        int found = votenet_pow_search(kernel, header, target, start, count, &nonce);
        CHECK(found == (expected < count));
        CHECK(!found || nonce == start + expected);
    }
}

static void check_alignment(int kernel, const char *name)
{
    uint8_t buffer[80 + 64], target[64 + 32];
    uint32_t nonce = 0;

    fill(buffer, sizeof(buffer));
    memset(target, 0xff, sizeof(target));
    for (size_t shift = 0; shift < 64; shift++) {
        target[shift + 31] = 3;
        uint32_t expected = plain_search(buffer + shift, target + shift, 5, 300);
        int found = votenet_pow_search(kernel, buffer + shift, target + shift, 5, 300, &nonce);
        CHECK(found == (expected < 300));
        CHECK(!found || nonce == 5 + expected);
        target[shift + 31] = 0xff;
    }
}

static void check_headers(int kernel, const char *name, int rounds)
{
    enum { LENGTH = 20 };
    uint8_t *chain = guarded(80 * LENGTH), *hashes = guarded(32 * LENGTH);
    uint8_t zero[32] = {0}, target[32], hash[32];
    int fault = -2;

    memset(target, 0xff, sizeof(target));
    target[31] = 0x7f; /* 0x207fffff, but for its last bytes */
    memset(target, 0, 29);
    for (int i = 0; i < LENGTH; i++) {
        uint8_t *header = chain + 80 * i;
        fill(header, 80);
        memcpy(header + 4, i == 0 ? zero : hash, 32);
        memcpy(header + 72, (const uint8_t[]){0xff, 0xff, 0x7f, 0x20}, 4);
        uint32_t nonce = plain_search(header, target, 0, 1000);
        for (int b = 0; b < 4; b++)
            header[76 + b] = (uint8_t)(nonce >> 8 * b);
        plain_hash(header, nonce, hash);
    }
    CHECK(votenet_pow_verify_headers(kernel, chain, LENGTH, zero, hashes, &fault) == LENGTH);
    CHECK(fault == 0 && memcmp(hashes + 32 * (LENGTH - 1), hash, 32) == 0);
    for (int round = 0; round < rounds; round++) {
        size_t at = random32() % (80 * LENGTH), bad = at / 80;
        uint8_t flip = (uint8_t)(1u << random32() % 8);
        chain[at] ^= flip;
        size_t good = votenet_pow_verify_headers(kernel, chain, LENGTH, NULL, hashes, &fault);
        CHECK(good >= bad || at % 80 < 36); /* nothing before the damage fails; the first link is free */
        CHECK(good <= bad + 1 || (bad == LENGTH - 1 && good == LENGTH));
        CHECK((fault == 0) == (good == LENGTH));
        chain[at] ^= flip;
    }
}

/* In the place of libsodium: good if the first byte of the signature is the sum of key and message. Reads
 * and writes every byte that libsodium may. */
static int add_up(unsigned char *message, unsigned long long *size, const unsigned char *signed_message,
                  unsigned long long signed_size, const unsigned char *key)
{
    uint8_t sum = 0;

    *size = signed_size - 64;
    memset(message, 0, signed_size);
    memcpy(message, signed_message + 64, *size);
    for (int i = 0; i < 32; i++)
        sum = (uint8_t)(sum + key[i]);
    for (unsigned long long i = 0; i < *size; i++)
        sum = (uint8_t)(sum + message[i]);
    return sum == signed_message[0] ? 0 : -1;
}

/* Records in exact allocations, whole, cut short and damaged: nothing beyond them is read (the sanitizer
 * sees it), and only the whole one, whose signature starts with the right sum, holds. */
static void check_records(const char *name, int rounds)
{
    static const uint8_t domain[] = "votenet/vote/1\n";
    enum { DOMAIN = sizeof(domain) - 1, MIDDLE = 30 };
    static const char digits[] = "0123456789abcdef", head[] = "{\"choices\":[\"\"]";
    char text[1024];

    for (int round = 0; round < rounds; round++) {
        uint8_t key[32], sum = 0;
        int size = snprintf(text, sizeof(text), "%s,\"signature\":\"", head);
        char *signature = text + size;
        size += snprintf(text + size, sizeof(text) - (size_t)size, "%0128d\",\"time\":%0*d,\"voter_key\":\"", 0,
                         (int)(random32() % MIDDLE + 1), 7);
        fill(key, sizeof(key));
        for (int i = 0; i < 32; i++) {
            text[size++] = digits[key[i] >> 4];
            text[size++] = digits[key[i] & 15];
            sum = (uint8_t)(sum + key[i]);
        }
        size += snprintf(text + size, sizeof(text) - (size_t)size, "\"}");
        for (int i = 0; i < DOMAIN; i++)
            sum = (uint8_t)(sum + domain[i]);
        for (const char *at = text; at < text + size; at++)
            if (at < signature - 14 || at > signature + 128)
                sum = (uint8_t)(sum + (uint8_t)*at);
        signature[0] = digits[sum >> 4];
        signature[1] = digits[sum & 15];

        int kind = (int)(random32() % 3), length = kind == 1 ? (int)(random32() % (uint32_t)size) : size;
        int place = kind == 2 ? (int)(random32() % (uint32_t)size) : -1;
        size_t scratch_size = 2 * (64 + DOMAIN + (size_t)length);
        uint8_t *record = malloc((size_t)length + 1), *scratch = malloc(scratch_size), good = 7;
        uint64_t end = (uint64_t)length;
        if (record == NULL || scratch == NULL)
            abort();
        memcpy(record + 1, text, (size_t)length);
        if (place >= 0)
            record[1 + place] = (uint8_t)(record[1 + place] ^ 0x80);
        long long found = votenet_verify_records(add_up, domain, DOMAIN, record + 1, &end, 1, scratch,
                                                 scratch_size, &good);
        CHECK(found == (kind == 0));
        CHECK(good == (kind == 0));
        CHECK(votenet_verify_records(add_up, domain, DOMAIN, record + 1, &end, 1, scratch, scratch_size - 2,
                                     &good) == -1);
        free(record);
        free(scratch);
    }
    printf("%-10s agree\n", name);
}

/* RFC 6962, section 2.1, as it is written: the tree splits at the largest power of two below its size. */
static void plain_root(const uint8_t *leaves, size_t count, uint8_t root[32])
{
    uint8_t pair[65] = {1};
    size_t split = 1;

    if (count == 1) {
        memcpy(root, leaves, 32);
        return;
    }
    while (2 * split < count)
        split *= 2;
    plain_root(leaves, split, pair + 1);
    plain_root(leaves + 32 * split, count - split, pair + 33);
    plain_sha256(pair, sizeof(pair), root);
}

static void check_roots(const char *name)
{
    uint8_t root[32];

    for (size_t count = 1; count < 70; count++) {
        uint8_t *nodes = malloc(32 * count);
        if (nodes == NULL)
            abort();
        fill(nodes, 32 * count);
        plain_root(nodes, count, root);
        if (votenet_merkle_root(nodes, count) == 0)
            CHECK(memcmp(nodes, root, 32) == 0);
        else
            CHECK(pow_compress_by_instruction() == NULL);
        free(nodes);
    }
    CHECK(votenet_merkle_root(root, 0) == -1);
    CHECK(votenet_merkle_root(NULL, 1) == -1);
    printf("%-10s agree\n", name);
}

/* Terms and pairs in exact allocations, some with points outside the group, large exponents, zeros. */
static void check_points(const char *name, int rounds)
{
    enum { MOST = 6 };

    for (int round = 0; round < rounds; round++) {
        size_t count = random32() % MOST, given = random32() % MOST;
        uint8_t *terms = malloc(128 * count + 1), *results = malloc(32 * count + 1), *good = malloc(count + 1);
        uint8_t *points = malloc(32 * (given + count) + 1);
        uint32_t *pairs = malloc(8 * count + 1);
        int numbers[2 * MOST], large = random32() % 8 == 0, beyond = given == 0 || random32() % 8 == 0;
        if (terms == NULL || results == NULL || good == NULL || points == NULL || pairs == NULL)
            abort();
        for (size_t i = 0; i < 2 * count; i++) {
            stand_in_write(terms + 64 * i, (int)(random32() % STAND_IN_ORDER));
            fill(terms + 64 * i + 32, 32);
            terms[64 * i + 63] &= 0x0f;
            if (random32() % 4 == 0)
                memset(terms + 64 * i + 32, 0, 32);
            if (random32() % 16 == 0)
                terms[64 * i + random32() % 32] ^= 0x81;
        }
        if (large && count > 0)
            terms[128 * (random32() % count) + 127] = 0x11;
        long long done = votenet_combine(&stand_in_group, terms, count, results, good);
        CHECK((done == -1) == (large && count > 0));
        for (size_t i = 0; i < count; i++) {
            const uint8_t *term = terms + 128 * i;
            int a = stand_in_read(term), b = stand_in_read(term + 64);
            int sum = a * stand_in_scalar(term + 32) + b * stand_in_scalar(term + 96);
            CHECK(good[i] == (done >= 0 && a >= 0 && b >= 0));
            CHECK(!good[i] || stand_in_read(results + 32 * i) == sum % STAND_IN_ORDER);
        }

        for (size_t i = 0; i < given; i++) {
            numbers[i] = (int)(random32() % (STAND_IN_ORDER + 8));
            stand_in_write(points + 32 * i, numbers[i]);
            numbers[i] = stand_in_read(points + 32 * i);
        }
        for (size_t i = 0; i < 2 * count; i++)
            pairs[i] = given + i / 2 == 0 ? 0 : random32() % (uint32_t)(given + i / 2);
        if (beyond && count > 0)
            pairs[random32() % 2] = (uint32_t)given;
        done = votenet_add_pairs(&stand_in_group, points, given, pairs, count, good);
        CHECK((done == -1) == (beyond && count > 0));
        for (size_t i = 0; i < count && done >= 0; i++) {
            int a = numbers[pairs[2 * i]], b = numbers[pairs[2 * i + 1]];
            numbers[given + i] = a < 0 || b < 0 ? -1 : (a + b) % STAND_IN_ORDER;
            CHECK(good[i] == (numbers[given + i] >= 0));
            CHECK(!good[i] || stand_in_read(points + 32 * (given + i)) == numbers[given + i]);
        }
        free(terms);
        free(results);
        free(good);
        free(points);
        free(pairs);
    }
    printf("%-10s agree\n", name);
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 400;

    for (int kernel = 0; kernel < votenet_pow_kernel_count(); kernel++) {
        const char *name = votenet_pow_kernel_name(kernel);
        int state = votenet_pow_kernel_state(kernel);
        CHECK(state >= 0);
        if (state == 1) {
            check_searches(kernel, name, rounds);
            check_alignment(kernel, name);
            check_headers(kernel, name, rounds);
        }
        printf("%-10s %s\n", name, state == 1 ? "agrees" : "not supported by this processor");
    }
    check_records("records", rounds);
    check_points("points", rounds);
    check_roots("roots");
    return 0;
}
