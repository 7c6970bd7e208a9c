/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>
#include <string.h>

#include "engine/base/err.h"
#include "engine/crypto/aead.h"
#include "engine/crypto/blake2s.h"
#include "engine/crypto/hash.h"
#include "engine/crypto/mem.h"
#include "engine/crypto/x25519.h"
#include "tests/support/rng.h"

static struct sp_span
text(const char *s)
{
    return sp_span(s, strlen(s));
}

static void
unhex(const char *hex, uint8_t *out, size_t n)
{
    g_assert_cmpuint(strlen(hex), ==, 2 * n);
    for (size_t i = 0; i < n; i++)
        out[i] =
            (uint8_t)(g_ascii_xdigit_value(hex[2 * i]) << 4 | g_ascii_xdigit_value(hex[2 * i + 1]));
}

static void
assert_hex(const uint8_t *got, const char *hex, size_t n)
{
    uint8_t want[512];

    g_assert_cmpuint(n, <=, sizeof want);
    unhex(hex, want, n);
    g_assert_cmpint(memcmp(got, want, n), ==, 0);
}

/* The sequence of RFC 7693 appendix E. */
static void
selftest_seq(uint8_t *out, size_t len, uint32_t seed)
{
    uint32_t a = 0xdead4bad * seed, b = 1;

    for (size_t i = 0; i < len; i++) {
        uint32_t t = a + b;

        a = b;
        b = t;
        out[i] = (uint8_t)(t >> 24);
    }
}

/* RFC 7693 appendices B and E. */
static void
blake2s_rfc7693(void)
{
    static const size_t out_lens[] = { 16, 20, 28, 32 };
    static const size_t in_lens[] = { 0, 3, 64, 65, 255, 1024 };
    const struct sp_span none = sp_span(NULL, 0);
    uint8_t md[32], key[32], in[1024];
    struct sp_blake2s all;

    sp_blake2s(md, 32, none, text("abc"));
    assert_hex(md, "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982", 32);

    sp_blake2s_init(&all, 32, none);
    for (size_t i = 0; i < G_N_ELEMENTS(out_lens); i++) {
        for (size_t j = 0; j < G_N_ELEMENTS(in_lens); j++) {
            selftest_seq(in, in_lens[j], (uint32_t)in_lens[j]);
            sp_blake2s(md, out_lens[i], none, sp_span(in, in_lens[j]));
            sp_blake2s_update(&all, md, out_lens[i]);
            selftest_seq(key, out_lens[i], (uint32_t)out_lens[i]);
            sp_blake2s(md, out_lens[i], sp_span(key, out_lens[i]), sp_span(in, in_lens[j]));
            sp_blake2s_update(&all, md, out_lens[i]);
        }
    }
    sp_blake2s_final(&all, md);
    assert_hex(md, "6a411f08ce25adcdfb02aba641451cec53c598b24f4fc787fbdc88797f4c1dfe", 32);
}

/* blake2s-test.txt of the reference implementation: key 00..1f, input 00, 01, 02, ... */
static void
blake2s_keyed(void)
{
    static const struct {
        size_t n;
        const char *md;
    } cases[] = {
        { 0, "48a8997da407876b3d79c0d92325ad3b89cbb754d86ab71aee047ad345fd2c49" },
        { 1, "40d15fee7c328830166ac3f918650f807e7e01e177258cdc0a39b11f598066f1" },
        { 64, "8975b0577fd35566d750b362b0897a26c399136df07bababbde6203ff2954ed4" },
        { 65, "21fe0ceb0052be7fb0f004187cacd7de67fa6eb0938d927677f2398c132317a8" },
        { 128, "0c311f38c35a4fb90d651c289d486856cd1413df9b0677f53ece2cd9e477c60a" },
        { 255, "3fb735061abc519dfe979e54c1ee5bfad0a9d858b3315bad34bde999efd724dd" },
    };
    uint8_t key[32], in[255], md[32], md2[32];

    for (size_t i = 0; i < sizeof in; i++)
        in[i] = (uint8_t)i;
    memcpy(key, in, sizeof key);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct sp_blake2s s;

        g_test_message("case %zu", i);
        sp_blake2s(md, 32, sp_span(key, 32), sp_span(in, cases[i].n));
        assert_hex(md, cases[i].md, 32);
        sp_blake2s_init(&s, 32, sp_span(key, 32));
        for (size_t j = 0; j < cases[i].n; j++)
            sp_blake2s_update(&s, in + j, 1);
        sp_blake2s_final(&s, md2);
        g_assert_cmpmem(md, 32, md2, 32);
    }
}

/* Values made with the hmac and hashlib modules of Python 3.11. */
static void
hmac_and_kdf(void)
{
    uint8_t key[100], in[32], a[32], b[32], c[32];

    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)i;
    sp_hmac_blake2s(a, sp_span(key, 32), text("abc"));
    assert_hex(a, "82623be5bc0a391b24dce53e67d028eff92d586de0485ac37822e597d049c74f", 32);
    sp_hmac_blake2s(a, sp_span(key, 100), text("abc"));
    assert_hex(a, "c1b751501db12b753069a918627b623179be55c8cc7ca5c4e14bdf32274ac656", 32);
    memset(in, 0x42, sizeof in);
    sp_noise_kdf(key, sp_span(in, 32), a, b, c);
    assert_hex(a, "0ea6f0217a53befc18a7e7527be9bb465ec1478b4571f3efb0d9feece725111a", 32);
    assert_hex(b, "d22a7819cf2532eb3d8ddb0f736fa3b3ac1d0e19438e8bf9145c2239a1fc2ed2", 32);
    assert_hex(c, "e0b211c1ae3cad7137edfc7b7cee82cbc376bd387ef7fd4308c04812b2bfa7a8", 32);
    sp_noise_kdf(key, sp_span(in, 32), key, b, NULL);
    g_assert_cmpmem(key, 32, a, 32);
}

/* RFC 7748 section 5.2 */
static void
x25519_rfc7748(void)
{
    uint8_t k[32], u[32], out[32];

    unhex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4", k, 32);
    unhex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c", u, 32);
    g_assert_cmpint(sp_x25519(out, k, u), ==, 0);
    assert_hex(out, "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552", 32);
    memset(k, 0, sizeof k);
    k[0] = 9;
    memcpy(u, k, sizeof u);
    sp_x25519_public(out, k);
    assert_hex(out, "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079", 32);
    for (int i = 0; i < 1000; i++) {
        g_assert_cmpint(sp_x25519(out, k, u), ==, 0);
        memcpy(u, k, sizeof u);
        memcpy(k, out, sizeof k);
    }
    assert_hex(k, "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51", 32);
    memset(u, 0, sizeof u);
    g_assert_cmpint(sp_x25519(out, k, u), ==, SP_E_UNAUTH);
}

/* RFC 8439 appendix A.5: the nonce has a zero prefix there, as ours always has. */
static void
aead_rfc8439(void)
{
    static const char plain[] =
        "Internet-Drafts are draft documents valid for a maximum of six months and may be "
        "updated, replaced, or obsoleted by other documents at any time. It is "
        "inappropriate to use Internet-Drafts as reference material or to cite them other "
        "than as /\xe2\x80\x9cwork in progress./\xe2\x80\x9d";
    enum {
        N = sizeof plain - 1
    };
    const uint64_t counter = UINT64_C(0x0807060504030201);
    uint8_t key[32], ad[12], out[N + 16];

    unhex("1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0", key, 32);
    unhex("f33388860000000000004e91", ad, 12);
    g_assert_cmpuint(N, ==, 265);
    memcpy(out, plain, N);
    sp_aead_seal(out, key, counter, sp_span(ad, 12), sp_span(out, N));
    assert_hex(out, "64a0861575861af460f062c79be643bd", 16);
    assert_hex(out + N, "eead9d67890cbb22392336fea1851f38", 16);
    out[3] ^= 1;
    g_assert_cmpint(sp_aead_open(out, key, counter, sp_span(ad, 12), sp_span(out, N + 16)),
                    ==,
                    SP_E_UNAUTH);
    g_assert_cmpint(sp_aead_open(out, key, counter, sp_span(ad, 12), sp_span(out, 15)),
                    ==,
                    SP_E_MALFORMED);
    sp_aead_seal(out, key, counter, sp_span(ad, 12), text(plain));
    g_assert_cmpint(sp_aead_open(out, key, counter, sp_span(ad, 12), sp_span(out, N + 16)), ==, 0);
    g_assert_cmpmem(out, N, plain, N);
}

/* draft-irtf-cfrg-xchacha-03 appendix A.3.1 */
static void
xaead_draft(void)
{
    static const char plain[] = "Ladies and Gentlemen of the class of '99: If I could offer you "
                                "only one tip for the future, sunscreen would be it.";
    enum {
        N = sizeof plain - 1
    };
    uint8_t key[32], nonce[24], ad[12], out[N + 16], back[N];

    for (size_t i = 0; i < 32; i++)
        key[i] = (uint8_t)(0x80 + i);
    for (size_t i = 0; i < 24; i++)
        nonce[i] = (uint8_t)(0x40 + i);
    unhex("50515253c0c1c2c3c4c5c6c7", ad, 12);
    sp_xaead_seal(out, key, nonce, sp_span(ad, 12), text(plain));
    assert_hex(out, "bd6d179d3e83d43b9576579493c0e939", 16);
    assert_hex(out + N, "c0875924c1c7987947deafd8780acf49", 16);
    g_assert_cmpint(sp_xaead_open(back, key, nonce, sp_span(ad, 12), sp_span(out, N + 16)), ==, 0);
    g_assert_cmpmem(back, N, plain, N);
    nonce[0] ^= 1;
    g_assert_cmpint(sp_xaead_open(back, key, nonce, sp_span(ad, 12), sp_span(out, N + 16)),
                    ==,
                    SP_E_UNAUTH);
}

/* A batch is the single calls one after the other, for every backend. */
static void
batch_is_single_calls(void)
{
    const struct sp_aead_backend *backends[] = { NULL, sp_aead_libsodium() };
    struct test_rng state;
    struct sp_rng rng = test_rng_init(&state, 11);
    enum {
        PACKETS = 17,
        ROOM = 1400
    };
    static uint8_t bytes[PACKETS][ROOM + 16], want[PACKETS][ROOM + 16];
    struct sp_aead_item items[PACKETS];
    uint8_t key[32];

    for (size_t b = 0; b < G_N_ELEMENTS(backends); b++) {
        uint64_t first = sp_rng_u64(&rng) >> 1;

        sp_rng_fill(&rng, key, sizeof key);
        for (size_t i = 0; i < PACKETS; i++) {
            size_t n = sp_rng_below(&rng, ROOM + 1);

            sp_rng_fill(&rng, bytes[i], n);
            sp_aead_seal(want[i], key, first + i, sp_span(NULL, 0), sp_span(bytes[i], n));
            items[i] = (struct sp_aead_item){ .data = bytes[i], .len = n };
        }
        sp_aead_seal_batch(backends[b], key, first, items, PACKETS);
        for (size_t i = 0; i < PACKETS; i++) {
            items[i].len += 16;
            g_assert_cmpuint(items[i].counter, ==, first + i);
            g_assert_cmpint(memcmp(bytes[i], want[i], items[i].len), ==, 0);
        }
        bytes[5][0] ^= 1;
        items[9].counter++;
        items[12].len = 15;
        g_assert_cmpuint(sp_aead_open_batch(backends[b], key, items, PACKETS), ==, PACKETS - 3);
        for (size_t i = 0; i < PACKETS; i++)
            g_assert_cmpint(items[i].ok, ==, i != 5 && i != 9 && i != 12);
    }
}

/* RFC 2202 section 3 */
static void
hmac_sha1_rfc2202(void)
{
    uint8_t key[80], data[50], md[20], md2[20];
    struct sp_span parts[3];

    memset(key, 0x0b, 20);
    sp_hmac_sha1(md, sp_span(key, 20), text("Hi There"));
    assert_hex(md, "b617318655057264e28bc0b6fb378c8ef146be00", 20);
    sp_hmac_sha1(md, text("Jefe"), text("what do ya want for nothing?"));
    assert_hex(md, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79", 20);
    parts[0] = text("what do ya");
    parts[1] = sp_span(NULL, 0);
    parts[2] = text(" want for nothing?");
    sp_hmac_sha1_v(md2, text("Jefe"), parts, 3);
    g_assert_cmpmem(md, 20, md2, 20);
    memset(key, 0xaa, sizeof key);
    memset(data, 0xdd, sizeof data);
    sp_hmac_sha1(md, sp_span(key, 20), sp_span(data, 50));
    assert_hex(md, "125d7342b9ac11cd91a39af48aa17b4f63f175d3", 20);
    sp_hmac_sha1(md,
                 sp_span(key, 80),
                 text("Test Using Larger Than Block-Size Key - Hash Key First"));
    assert_hex(md, "aa4ae5e15272d00e95705637ce8a3b55ed402112", 20);
}

/* RFC 1321 appendix A.5, FIPS 180-4 example, and the check value of the CRC catalogue. */
static void
digests(void)
{
    static const struct {
        const char *in, *md5;
    } cases[] = {
        { "", "d41d8cd98f00b204e9800998ecf8427e" },
        { "a", "0cc175b9c0f1b6a831c399e269772661" },
        { "abc", "900150983cd24fb0d6963f7d28e17f72" },
        { "message digest", "f96b697d7cb7938d525a2f31aaf161d0" },
        { "abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b" },
    };
    uint8_t md[32];

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        sp_md5(md, text(cases[i].in));
        assert_hex(md, cases[i].md5, 16);
    }
    sp_sha256(md, text("abc"));
    assert_hex(md, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", 32);
    g_assert_cmphex(sp_crc32(0, text("123456789")), ==, 0xcbf43926);
    g_assert_cmphex(sp_crc32(sp_crc32(0, text("1234")), text("56789")), ==, 0xcbf43926);
    g_assert_cmphex(sp_crc32(0, sp_span(NULL, 0)), ==, 0);
}

static void
memory(void)
{
    uint8_t a[9] = "12345678", b[9] = "12345678", zero[9] = { 0 };

    g_assert_true(sp_equal_ct(a, b, 9));
    b[8] = 1;
    g_assert_false(sp_equal_ct(a, b, 9));
    g_assert_true(sp_equal_ct(a, b, 8));
    sp_wipe(a, sizeof a);
    g_assert_cmpmem(a, 9, zero, 9);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/crypto/blake2s/rfc7693", blake2s_rfc7693);
    g_test_add_func("/crypto/blake2s/keyed", blake2s_keyed);
    g_test_add_func("/crypto/blake2s/hmac-and-kdf", hmac_and_kdf);
    g_test_add_func("/crypto/x25519/rfc7748", x25519_rfc7748);
    g_test_add_func("/crypto/aead/rfc8439", aead_rfc8439);
    g_test_add_func("/crypto/aead/xchacha-draft", xaead_draft);
    g_test_add_func("/crypto/aead/batch-is-single-calls", batch_is_single_calls);
    g_test_add_func("/crypto/hash/hmac-sha1-rfc2202", hmac_sha1_rfc2202);
    g_test_add_func("/crypto/hash/digests", digests);
    g_test_add_func("/crypto/mem", memory);
    return g_test_run();
}
