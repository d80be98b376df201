/* Coincidences of spikes that are packed 64 to a word. */

#include <stdint.h>

enum {
    LANES = WORDS_AT_ONCE, /* from kernels/table.py */
    COLUMNS = 512,
    ROWS_AT_ONCE = 16,
    SEGMENT = 31 * 16, /* vectors: 31 times 8 bits are what a byte can count */
};

typedef uint64_t lanes __attribute__((vector_size(8 * LANES), aligned(8), may_alias));

/* Spikes (rows, n), bytes of 0 or 1, to words (n, words): bit r of column j is set where row r has a spike.
 * Bits stand in an order of their own, the same for all tensors of as many rows.
 * Returns the OR of all bytes: 0 or 1, or something was no spike. */
int64_t onchip_pack(const uint8_t *spikes, uint64_t *packed, int64_t rows, int64_t n, int64_t words)
{
    int seen = 0;
#pragma omp parallel for schedule(static) reduction(| : seen) if (rows * n > 1 << 16)
    for (int64_t first = 0; first < n; first += COLUMNS) {
        const int64_t width = n - first < COLUMNS ? n - first : COLUMNS;
        uint8_t any[COLUMNS] = {0};
        for (int64_t word = 0; word < words; word++) {
            uint64_t joined[COLUMNS] = {0};
            for (int64_t eight = 0; eight < 8; eight++) {
                uint8_t bits[COLUMNS] = {0};
                for (int64_t row = 64 * word + 8 * eight; row < 64 * word + 8 * eight + 8 && row < rows; row++) {
                    const uint8_t *from = spikes + row * n + first;
                    if (width == COLUMNS)
                        for (int j = 0; j < COLUMNS; j++) {
                            bits[j] = (uint8_t)(bits[j] + bits[j]) | from[j];
                            any[j] |= from[j];
                        }
                    else
                        for (int64_t j = 0; j < width; j++) {
                            bits[j] = (uint8_t)(bits[j] + bits[j]) | from[j];
                            any[j] |= from[j];
                        }
                }
                for (int j = 0; j < COLUMNS; j++)
                    joined[j] |= (uint64_t)bits[j] << (8 * eight);
            }
            for (int64_t j = 0; j < width; j++)
                packed[(first + j) * words + word] = joined[j];
        }
        for (int j = 0; j < COLUMNS; j++)
            seen |= any[j];
    }
    return seen;
}

/* Bits set in each byte. */
static inline lanes counted(lanes x)
{
    x -= (x >> 1) & 0x5555555555555555u;
    x = (x & 0x3333333333333333u) + ((x >> 2) & 0x3333333333333333u);
    return (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fu;
}

/* Sum of all bytes. */
static inline uint64_t summed(lanes x)
{
    x = (x & 0x00ff00ff00ff00ffu) + ((x >> 8) & 0x00ff00ff00ff00ffu);
    x += x >> 16;
    x += x >> 32;
    uint64_t total = 0;
    for (int k = 0; k < LANES; k++)
        total += x[k] & 0xffff;
    return total;
}

/* A carry-save adder of single bits: a + b + low = low' + 2 high. */
#define ADD(high, low, a, b)                                                                                           \
    do {                                                                                                               \
        const lanes a_ = (a), b_ = (b), either = a_ ^ b_;                                                              \
        high = (a_ & b_) | (either & low);                                                                             \
        low ^= either;                                                                                                 \
    } while (0)

/* Bits set in both of two rows, of at most SEGMENT vectors.
 * Harley and Seal: 16 vectors are added bit by bit before one is counted. */
static inline uint64_t common(const lanes *a, const lanes *b, int64_t vectors)
{
    lanes ones = {0}, twos = {0}, fours = {0}, eights = {0}, sixteens = {0};
    int64_t v = 0;
#define BOTH(k) (a[v + (k)] & b[v + (k)])
    for (; v + 16 <= vectors; v += 16) {
        lanes two_a, two_b, four_a, four_b, eight_a, eight_b, sixteen;
        ADD(two_a, ones, BOTH(0), BOTH(1));
        ADD(two_b, ones, BOTH(2), BOTH(3));
        ADD(four_a, twos, two_a, two_b);
        ADD(two_a, ones, BOTH(4), BOTH(5));
        ADD(two_b, ones, BOTH(6), BOTH(7));
        ADD(four_b, twos, two_a, two_b);
        ADD(eight_a, fours, four_a, four_b);
        ADD(two_a, ones, BOTH(8), BOTH(9));
        ADD(two_b, ones, BOTH(10), BOTH(11));
        ADD(four_a, twos, two_a, two_b);
        ADD(two_a, ones, BOTH(12), BOTH(13));
        ADD(two_b, ones, BOTH(14), BOTH(15));
        ADD(four_b, twos, two_a, two_b);
        ADD(eight_b, fours, four_a, four_b);
        ADD(sixteen, eights, eight_a, eight_b);
        sixteens += counted(sixteen);
    }
    /* At most 8 (1 + 2 + 4 + 8) and 15 times 8 a byte: 240. */
    lanes rest = counted(ones) + 2 * counted(twos) + 4 * counted(fours) + 8 * counted(eights);
    for (; v < vectors; v++)
        rest += counted(BOTH(0));
#undef BOTH
    return 16 * summed(sixteens) + summed(rest);
}

static inline int32_t row(const uint64_t *a, const uint64_t *b, int64_t words)
{
    uint64_t total = 0;
#ifdef __AVX512VPOPCNTDQ__ /* counts a vector in one instruction */
    for (int64_t w = 0; w < words; w++)
        total += (uint64_t)__builtin_popcountll(a[w] & b[w]);
#else
    for (int64_t first = 0; first < words; first += SEGMENT * LANES) {
        const int64_t left = words - first < SEGMENT * LANES ? words - first : SEGMENT * LANES;
        total += common((const lanes *)(a + first), (const lanes *)(b + first), left / LANES);
    }
#endif
    return (int32_t)total;
}

/* Counts (outs, ins) of the rows in which a postsynaptic and a presynaptic neuron spike. */
int64_t onchip_coincidences(const uint64_t *post, const uint64_t *pre, int32_t *counts, int64_t outs, int64_t ins,
                            int64_t words)
{
    /* A few presynaptic rows stay in the nearest cache while all postsynaptic ones pass by. */
#pragma omp parallel for schedule(static) if (outs * ins * words > 1 << 18)
    for (int64_t first = 0; first < ins; first += ROWS_AT_ONCE) {
        const int64_t end = first + ROWS_AT_ONCE < ins ? first + ROWS_AT_ONCE : ins;
        for (int64_t i = 0; i < outs; i++)
            for (int64_t j = first; j < end; j++)
                counts[i * ins + j] = row(post + i * words, pre + j * words, words);
    }
    return 0;
}
