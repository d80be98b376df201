/* Products of a matrix that is mostly zeros with a dense one: work by entry, not by place.
 *
 * y = x m for x (rows, inner), m (inner, columns). A panel of m, DEPTH by WIDE, lies in the nearest cache while all
 * rows pass over it; of a row of x only the entries other than zero are used, in order. So y does not depend on the
 * number of threads, and a row of y on no other row.
 */

#include <stdint.h>
#include <string.h>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("fp-contract=fast")
#endif

#define INLINE static inline __attribute__((always_inline))

/* DEPTH and WIDE come from kernels/table.py. */
enum { DEPTH = SPARSE_DEPTH, WIDE = SPARSE_WIDTH, TILE = 16 };

typedef float octet __attribute__((vector_size(32), aligned(4), may_alias));

struct entry {
    int32_t at; /* where its row of the panel begins */
    float value;
};

struct strided {
    const float *data;
    int64_t down, across; /* from one row to the next, from one column to the next */
};

INLINE int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* How many of n numbers are other than zero; NaN is. */
int64_t onchip_nonzero(const float *numbers, int64_t n)
{
    int64_t found = 0;
    for (int64_t i = 0; i < n; i += 4096) {
        int32_t some = 0;
        const int64_t end = least(i + 4096, n);
#pragma omp simd reduction(+ : some)
        for (int64_t j = i; j < end; j++)
            some += numbers[j] != 0.0f;
        found += some;
    }
    return found;
}

/* Entries of x by depth, then by row; ends[depth · rows + row] is where those of a row end. */
static void listed(struct strided x, int64_t rows, int64_t inner, struct entry *entries, int64_t *ends)
{
    int64_t found = 0;
    float tile[TILE][DEPTH];
    for (int64_t from = 0; from < inner; from += DEPTH) {
        const int64_t depth = least(DEPTH, inner - from);
        for (int64_t row = 0; row < rows; row += TILE) {
            const int64_t high = least(TILE, rows - row);
            for (int64_t k = 0; k < depth; k++)
                for (int64_t i = 0; i < high; i++)
                    tile[i][k] = x.data[(row + i) * x.down + (from + k) * x.across];
            for (int64_t i = 0; i < high; i++) {
                for (int64_t k = 0; k < depth; k++) {
                    entries[found].at = (int32_t)(k * WIDE);
                    entries[found].value = tile[i][k];
                    found += tile[i][k] != 0.0f;
                }
                *ends++ = found;
            }
        }
    }
}

/* sums += entries · panel; the compiler keeps eight vectors of sums in registers, which it does not for an array. */
INLINE void add(const struct entry *from, const struct entry *end, const float *panel, float *sums)
{
#ifdef __clang__
#pragma clang fp contract(fast)
#endif
    octet *to = (octet *)sums;
    octet a = to[0], b = to[1], c = to[2], d = to[3], e = to[4], f = to[5], g = to[6], h = to[7];
    for (; from < end; from++) {
        const octet *row = (const octet *)(panel + from->at);
        const float value = from->value;
        a += value * row[0], b += value * row[1], c += value * row[2], d += value * row[3];
        e += value * row[4], f += value * row[5], g += value * row[6], h += value * row[7];
    }
    to[0] = a, to[1] = b, to[2] = c, to[3] = d, to[4] = e, to[5] = f, to[6] = g, to[7] = h;
}

/* A panel of m, zeros beyond its last column. */
INLINE void packed(struct strided m, int64_t depth, int64_t wide, float *panel)
{
    if (wide < WIDE)
        memset(panel, 0, DEPTH * WIDE * sizeof(float));
    if (m.across == 1)
        for (int64_t k = 0; k < depth; k++)
            memcpy(panel + k * WIDE, m.data + k * m.down, (size_t)wide * sizeof(float));
    else
        for (int64_t from = 0; from < depth; from += TILE)
            for (int64_t c = 0; c < wide; c++)
                for (int64_t k = from; k < least(from + TILE, depth); k++)
                    panel[k * WIDE + c] = m.data[k * m.down + c * m.across];
}

/* Sums (rows, WIDE), of which `wide` columns count, to their place in y. */
INLINE void placed(const float *sums, int64_t rows, int64_t wide, float *y, int64_t down, int64_t across)
{
    if (across == 1)
        for (int64_t row = 0; row < rows; row++)
            memcpy(y + row * down, sums + row * WIDE, (size_t)wide * sizeof(float));
    else
        for (int64_t from = 0; from < rows; from += TILE)
            for (int64_t c = 0; c < wide; c++)
                for (int64_t row = from; row < least(from + TILE, rows); row++)
                    y[row * down + c * across] = sums[row * WIDE + c];
}

/* y = x m + bias, y (rows, columns) as `panels` (columns / WIDE rounded up, rows, WIDE) on the way.
 * `entries` has room for one more than x has; `ends` for each row at each depth. bias may be NULL. */
int64_t onchip_sparse(const float *x, int64_t x_down, int64_t x_across, const float *m, int64_t m_down,
                      int64_t m_across, const float *bias, float *y, int64_t y_down, int64_t y_across, int64_t rows,
                      int64_t inner, int64_t columns, void *entries, int64_t *ends, float *panels)
{
    listed((struct strided){x, x_down, x_across}, rows, inner, entries, ends);
#pragma omp parallel for schedule(static)
    for (int64_t at = 0; at < columns; at += WIDE) {
        float panel[DEPTH * WIDE] __attribute__((aligned(64))), *sums = panels + at * rows;
        const int64_t wide = least(WIDE, columns - at);
        memset(panel, 0, sizeof panel);
        if (bias)
            memcpy(panel, bias + at, (size_t)wide * sizeof(float));
        for (int64_t row = 0; row < rows; row++)
            memcpy(sums + row * WIDE, panel, WIDE * sizeof(float));
        const struct entry *next = entries;
        for (int64_t from = 0; from < inner; from += DEPTH) {
            const struct strided part = {m + from * m_down + at * m_across, m_down, m_across};
            packed(part, least(DEPTH, inner - from), wide, panel);
            const int64_t *end = ends + from / DEPTH * rows;
            for (int64_t row = 0; row < rows; row++) {
                const struct entry *last = (const struct entry *)entries + end[row];
                add(next, last, panel, sums + row * WIDE);
                next = last;
            }
        }
        placed(sums, rows, wide, y + at * y_across, y_down, y_across);
    }
    return 0;
}
