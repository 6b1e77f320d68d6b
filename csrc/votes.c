/* Vote records: taken apart, and their signatures checked, many in one call.
 *
 * Called one by one from Python, a verifier gives the interpreter's lock back and takes it again for every
 * signature, and a thread that does so waits for the others half of its time. There is no cryptography here:
 * libsodium decides, through the function that the caller hands in.
 */
#include <string.h>

#include <stddef.h>
#include <stdint.h>

#include "votes_cdef.h"

enum { KEY_SIZE = 32, SIGNATURE_SIZE = 64 };

/* `size` bytes out of twice as many digits; 0 if one of them is none. Without a branch for each, so that the
 * compiler does many at a time. */
static int from_hex(uint8_t *out, const uint8_t *digits, size_t size)
{
    unsigned wrong = 0;

    for (size_t i = 0; i < size; i++) {
        unsigned byte = 0;
        for (size_t half = 0; half < 2; half++) {
            unsigned decimal = digits[2 * i + half] - '0', letter = (digits[2 * i + half] | 0x20) - 'a';
            wrong |= (decimal > 9) & (letter > 5);
            byte = byte << 4 | (decimal > 9 ? letter + 10 : decimal);
        }
        out[i] = (uint8_t)byte;
    }
    return !wrong;
}

/* Where `member` first stands in [at, end), or NULL. */
static const uint8_t *find(const uint8_t *at, const uint8_t *end, const char *member, size_t size)
{
    while ((size_t)(end - at) >= size && (at = memchr(at, member[0], (size_t)(end - at) - size + 1)) != NULL) {
        if (memcmp(at, member, size) == 0)
            return at;
        at++;
    }
    return NULL;
}

/* The signed message of a record (its size is returned, 0 if a member is missing) and the key. Writes at most
 * the 64 bytes of the signature, the domain and the record. */
static size_t take_apart(const uint8_t *record, size_t size, const uint8_t *domain, size_t domain_size,
                         uint8_t *message, uint8_t *key)
{
    static const char before_signature[] = ",\"signature\":\"", before_key[] = ",\"voter_key\":\"";
    enum { BEFORE_SIGNATURE = sizeof(before_signature) - 1, BEFORE_KEY = sizeof(before_key) - 1 };
    const uint8_t *end = record + size, *begin, *rest;

    if (size < BEFORE_KEY + 2 * KEY_SIZE + 2 || memcmp(end - 2, "\"}", 2) != 0)
        return 0;
    rest = end - 2 - 2 * KEY_SIZE;
    if (memcmp(rest - BEFORE_KEY, before_key, BEFORE_KEY) != 0 || !from_hex(key, rest, KEY_SIZE))
        return 0;
    begin = find(record, end, before_signature, BEFORE_SIGNATURE);
    if (begin == NULL || (size_t)(end - begin) < BEFORE_SIGNATURE + 2 * SIGNATURE_SIZE + 1)
        return 0;
    rest = begin + BEFORE_SIGNATURE + 2 * SIGNATURE_SIZE;
    if (*rest != '"' || !from_hex(message, begin + BEFORE_SIGNATURE, SIGNATURE_SIZE))
        return 0;
    rest++;
    message += SIGNATURE_SIZE;
    memcpy(message, domain, domain_size);
    memcpy(message + domain_size, record, (size_t)(begin - record));
    memcpy(message + domain_size + (begin - record), rest, (size_t)(end - rest));
    return SIGNATURE_SIZE + domain_size + (size_t)(begin - record) + (size_t)(end - rest);
}

long long votenet_verify_records(votenet_sign_open *open, const uint8_t *domain, size_t domain_size,
                                 const uint8_t *records, const uint64_t *ends, size_t count,
                                 uint8_t *scratch, size_t scratch_size, uint8_t *good)
{
    long long holds = 0;
    uint64_t begin = 0;
    uint8_t key[KEY_SIZE];

    if (count == 0)
        return 0;
    if (open == NULL || domain == NULL || records == NULL || ends == NULL || scratch == NULL || good == NULL)
        return -1;
    memset(good, 0, count);
    if (scratch_size / 2 < SIGNATURE_SIZE + domain_size)
        return -1;
    for (size_t i = 0; i < count; begin = ends[i++])
        if (ends[i] < begin || ends[i] - begin > scratch_size / 2 - SIGNATURE_SIZE - domain_size)
            return -1;

    begin = 0;
    for (size_t i = 0; i < count; begin = ends[i++]) {
        unsigned long long opened = 0;
        size_t size =
            take_apart(records + begin, ends[i] - begin, domain, domain_size, scratch, key);
        good[i] = size > 0 && open(scratch + scratch_size / 2, &opened, scratch, size, key) == 0;
        holds += good[i];
    }
    return holds;
}
