/* What the C core does for votes, as Python sees it: declarations that cffi reads, without a directive. */

/* libsodium's crypto_sign_open: 0 if the signed message (64 bytes of signature, then the message) is good
 * under the key of 32 bytes. Copies the message to `message` and its length to `*size`. */
typedef int votenet_sign_open(unsigned char *message, unsigned long long *size,
                              const unsigned char *signed_message, unsigned long long signed_size,
                              const unsigned char *key);

/* Asks `open` about `count` vote records: canonical JSON whose member "signature" (128 hexadecimal digits) is
 * the signature over `domain` and the record without that member, by the key of its last member, "voter_key"
 * (64 digits).
 *
 * records, ends: the records joined, and where each of them ends.
 * scratch: room for twice (64 bytes, the domain and the longest record).
 * good: `count` bytes, set to 1 where the signature holds, else, or if a member is not so, to 0.
 * Returns how many hold, or -1 if an argument is missing, or ends do not ascend or the scratch of
 * `scratch_size` bytes is too small; nothing holds then. */
long long votenet_verify_records(votenet_sign_open *open, const uint8_t *domain, size_t domain_size,
                                 const uint8_t *records, const uint64_t *ends, size_t count,
                                 uint8_t *scratch, size_t scratch_size, uint8_t *good);

/* The Merkle root (RFC 6962) of `count` leaf hashes of 32 bytes each, joined. They are overwritten, the first 32
 * bytes with the root. Returns 0, or -1 if there are none or this processor has no SHA instructions. */
int votenet_merkle_root(uint8_t *nodes, size_t count);
