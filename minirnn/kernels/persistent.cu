// The loop over time as one kernel for each cell and direction: W stays on chip, h travels.
//
// The batch is divided over groups of blocks, and the hidden units over the blocks of a group. For the
// whole sequence a block keeps in shared memory the rows of W that make its own units, of all gates.
//
//   forward   A step takes all of h, which the blocks of the group have written, and makes the block's
//             own units of the next h. Its products are cut along h into slices, added in order.
//   backward  A step makes da of the block's own rows and, as W' da, a part of all of dh. Who owns a
//             unit adds up its parts, those of all blocks of the group, in order.
//
// So in both directions there is one barrier a step, among the blocks of a group, and no sum depends on
// who comes first. Nothing is written where a block may still read what was there before: each h has a
// place of its own, and parts have two places, used in turn.
//
// U x is ready before; dU, dW, db and dx are made after. persistent_scan.py launches this, says how work is
// divided (`Problem`), and sees to it that all blocks are on the device together, or they would wait forever.
// An array of one step is (rows, N), one of all steps (rows, T, N), as in fused.cu.
//
// The compiler is told NUMBER, float or double, and ACT, Tanh or Relu; and TF32, if tensor cores are to make the
// products. A compiler of plain C++ takes this file, too, with what stands in for a device: so it is tested on
// machines without one.

#include "places.cuh"

#ifdef __CUDACC__
#define THREADS 256  // of a block, at most

// One arrival more. Who sees it by `arrived` sees what this thread wrote before, and what other threads of
// its block wrote before a __syncthreads() ahead of it.
static __device__ void arrive(unsigned *count)
{
    asm volatile("red.release.gpu.global.add.u32 [%0], 1;" : : "l"(count) : "memory");
}

static __device__ unsigned arrived(const unsigned *count)
{
    unsigned value;
    asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(value) : "l"(count) : "memory");
    return value;
}

extern __shared__ __align__(16) unsigned char dynamic_shared[];
#endif

struct Problem
{
    int T, H, N;
    int first, count;  // sequences of this launch
    int blocks;        // in a group: block k has units k H / blocks to (k + 1) H / blocks
    int columns;       // sequences of a group, at most
    int across;        // the same with padding: at most 2, or a multiple of 4; with TF32 of 8
    int pitch;         // from one row of W to the next in shared memory, a multiple of 4
    int h_pitch;       // the same of h and sums, forward
    int d_pitch;       // and of d, backward
    int chunk;         // rows of h in shared memory at a time, a multiple of DEEP
    int slices;        // of a forward product along h
    int back_slices;   // of a backward product along the block's rows: each makes a part of its own
    int K;             // columns of U
    long long dys_t, dys_unit, dys_sequence;  // from one number of dys to the next
    const bool *mask;         // (T, N): whether the sequence has this step; null if all have all
    const long long *tokens;  // (T, N), or null
    const number *U, *W, *b, *bw;
    number *gates;                // U x, or room for it; after forward the gates
    number *h_before, *c_before;  // (H, T, N): the states before each step
    number *h, *c;                // (H, N): the states after the last one
    number *ys;                   // (H, T, N)
    const number *dys;            // or null
    number *da;                   // what U, W and b get their gradients from
    number *dh, *dc;              // (H, N): at first of the last states, in the end of the first ones
    number *parts;                // [2, groups, blocks, back_slices, H, across]
    unsigned *counts;             // of arrivals, zero at first, LINE for each group
};

static const int LINE = 32;  // counts in a line of the cache

// What one block has to do.
struct Share
{
    int group, member;
    int unit, units;          // its first one, and how many
    int sequence, sequences;
    // Where it needs a thread for each sequence, a thread has one column and every so many rows of it.
    int column, row, rows;
};

static __device__ Share share(const Problem &p)
{
    Share my;
    my.group = blockIdx.x / p.blocks, my.member = blockIdx.x % p.blocks;
    my.unit = (long long)my.member * p.H / p.blocks;
    my.units = (long long)(my.member + 1) * p.H / p.blocks - my.unit;
    my.sequence = p.first + my.group * p.columns;
    int left = p.first + p.count - my.sequence;
    my.sequences = left < p.columns ? left : p.columns;
    my.column = threadIdx.x % p.across, my.row = threadIdx.x / p.across, my.rows = blockDim.x / p.across;
    if (my.row == my.rows) my.row = 1 << 30;  // left over
    return my;
}

static __device__ Place place(const Problem &p, const Share &my, int t, int row)
{
    return place(t, p.T, p.H, p.N, my.unit + row, my.sequence + my.column);
}

// Move on, or stand still where there is no such step: the state after it is the one before the next, or the
// last one.
static __device__ void advance(
    const Problem &p, const Place &s, bool running, number after, number *before, number *last)
{
    number value = running ? after : before[s.then];
    if (s.t + 1 < p.T) before[s.then + p.N] = value;
    else last[s.now] = value;
}

#ifdef TF32
#include "products_tf32.cuh"
#else
#include "products.cuh"
#endif

// Each cell: `forward` takes its rows of W h; `backward` gives dw, its rows of what W' is multiplied by, and
// returns what dh gets past that product.

struct Rnn
{
    enum { GATES = 1 };

    static __device__ void forward(const Problem &p, const Place &s, bool running, const number w[1])
    {
        number u[1], h_new;
        input<1>(s, p.gates, p.U, p.K, p.tokens, u);
        cells::rnn_forward<ACT>(u[0], w[0], p.b[s.unit], h_new);
        advance(p, s, running, h_new, p.h_before, p.h);
        p.ys[s.then] = running ? h_new : 0;
    }

    static __device__ number backward(const Problem &p, const Place &s, bool running, number dh, number dw[1])
    {
        if (running) cells::rnn_backward<ACT>(after(s, p.T, p.h_before, p.h), dh, dw[0]);
        p.da[s.then] = dw[0];
        return running ? 0 : dh;
    }
};

struct Lstm
{
    enum { GATES = 4 };

    static __device__ void forward(const Problem &p, const Place &s, bool running, const number w[4])
    {
        number u[4], b[4], ifog[4], h_new, c_new;
        input<4>(s, p.gates, p.U, p.K, p.tokens, u);
        load<4>(b, p.b, s.unit, p.H);
        cells::lstm_forward<ACT>(u, w, b, p.c_before[s.then], ifog, h_new, c_new);
        store<4>(ifog, p.gates, s.then, s.then_gate);
        advance(p, s, running, h_new, p.h_before, p.h);
        advance(p, s, running, c_new, p.c_before, p.c);
        p.ys[s.then] = running ? h_new : 0;
    }

    static __device__ number backward(const Problem &p, const Place &s, bool running, number dh, number dw[4])
    {
        number ifog[4], c = p.c_before[s.then], c_new = after(s, p.T, p.c_before, p.c), dc_new = p.dc[s.now];
        load<4>(ifog, p.gates, s.then, s.then_gate);
        if (running) cells::lstm_backward<ACT>(ifog, c, c_new, dh, dc_new, dw, p.dc[s.now]);
        store<4>(dw, p.da, s.then, s.then_gate);
        return running ? 0 : dh;
    }
};

struct Gru
{
    enum { GATES = 3 };

    static __device__ void forward(const Problem &p, const Place &s, bool running, const number w[3])
    {
        number u[3], b[3], rznm[4], h_new;
        input<3>(s, p.gates, p.U, p.K, p.tokens, u);
        load<3>(b, p.b, s.unit, p.H);
        cells::gru_forward(u, w, b, p.bw[s.unit], p.h_before[s.then], rznm, h_new);
        store<4>(rznm, p.gates, s.then, s.then_gate);
        advance(p, s, running, h_new, p.h_before, p.h);
        p.ys[s.then] = running ? h_new : 0;
    }

    static __device__ number backward(const Problem &p, const Place &s, bool running, number dh, number dw[3])
    {
        number rznm[4], du[3] = {0, 0, 0}, past = dh;
        load<4>(rznm, p.gates, s.then, s.then_gate);
        if (running) cells::gru_backward(rznm, p.h_before[s.then], dh, du, dw, past);
        p.da[s.then] = dw[2];  // rows m, r, z, n: W's are the first three, U's the last
        store<3>(du, p.da + s.then_gate, s.then, s.then_gate);
        return past;
    }
};

// The rows of W of the block's units, gate by gate, ended by zeros.
template <int GATES>
static __device__ void keep_weights(number *W, const Problem &p, const Share &my)
{
    for (int row = 0; row < GATES * my.units; row++)
    {
        long long from = (row / my.units) * (long long)p.H + my.unit + row % my.units;
        for (int k = threadIdx.x; k < p.pitch; k += blockDim.x)
            W[row * p.pitch + k] = k < p.H ? factor(p.W[from * p.H + k]) : 0;
    }
}

// Wait until the blocks of the group have all been here as often as this one.
static __device__ void meet(const Problem &p, const Share &my, unsigned times)
{
    __syncthreads();
    if (threadIdx.x == 0 && p.blocks > 1)
    {
        unsigned *count = p.counts + my.group * LINE;
        arrive(count);
        while (int(arrived(count) - times * p.blocks) < 0) {}
    }
    __syncthreads();
}

template <class Cell>
static __device__ void forward(const Problem &p)
{
    const Share my = share(p);
    const int rows = Cell::GATES * my.units, depth = (p.H + DEEP - 1) / DEEP * DEEP;
    number *W = reinterpret_cast<number *>(dynamic_shared);
    number *h = W + rows * p.pitch;          // [chunk, h_pitch]
    number *sums = h + p.chunk * p.h_pitch;  // [slices, rows, h_pitch]
    keep_weights<Cell::GATES>(W, p, my);
    for (int t = 0; t < p.T; t++)
    {
        for (int k = 0; k < depth; k += p.chunk)
        {
            int here = depth - k < p.chunk ? depth - k : p.chunk;
#pragma unroll 16
            for (int j = my.row; j < here; j += my.rows)
            {
                bool exists = k + j < p.H && my.column < my.sequences;
                long long from = ((long long)(k + j) * p.T + t) * p.N + my.sequence + my.column;
                h[j * p.h_pitch + my.column] = exists ? factor(__ldcg(p.h_before + from)) : 0;
            }
            __syncthreads();
            add_products(sums, W, h, rows, k, here, p);
            __syncthreads();
        }
        for (int row = my.row; my.column < my.sequences && row < my.units; row += my.rows)
        {
            number w[Cell::GATES] = {};
            for (int slice = 0; slice < p.slices; slice++)
                for (int g = 0; g < Cell::GATES; g++)
                    w[g] += sums[(slice * rows + g * my.units + row) * p.h_pitch + my.column];
            Place s = place(p, my, t, row);
            Cell::forward(p, s, runs(s, p.mask), w);
        }
        if (t + 1 < p.T) meet(p, my, t + 1);
    }
}

template <class Cell>
static __device__ void backward(const Problem &p)
{
    const Share my = share(p);
    const int rows = Cell::GATES * my.units, sources = p.blocks * p.back_slices;
    number *W = reinterpret_cast<number *>(dynamic_shared);
    number *d = W + rows * p.pitch;  // [rows, d_pitch]
    const long long part = (long long)p.H * p.across, all = part * sources;  // of a group
    const int groups = gridDim.x / p.blocks;
    keep_weights<Cell::GATES>(W, p, my);
    // From the state after step t - 1 to the one before it; in the end, parts are only added up.
    for (int t = p.T; t >= 0; t--)
    {
        const number *parts = p.parts + (t % 2 * groups + my.group) * all;
        for (int row = my.row; my.column < my.sequences && row < my.units; row += my.rows)
        {
            Place s = place(p, my, t - 1, row);
            number dh = p.dh[s.now];
            const number *own = parts + (long long)s.unit * p.across + my.column;
#pragma unroll 16
            for (int k = 0; k < (t < p.T ? sources : 0); k++) dh += __ldcg(own + k * part);
            if (t > 0)
            {
                bool running = runs(s, p.mask);
                if (running && p.dys != 0)
                    dh += p.dys[s.t * p.dys_t + s.unit * p.dys_unit + s.sequence * p.dys_sequence];
                number dw[Cell::GATES] = {};
                dh = Cell::backward(p, s, running, dh, dw);
                for (int g = 0; g < Cell::GATES; g++)
                    d[(g * my.units + row) * p.d_pitch + my.column] = factor(dw[g]);
            }
            p.dh[s.now] = dh;
        }
        if (t == 0) return;
        __syncthreads();
        number *given = p.parts + ((t - 1) % 2 * groups + my.group) * all;
        given += my.member * p.back_slices * part;
        give_parts(given, W, d, rows, p);
        meet(p, my, p.T - t + 1);
    }
}

#define KERNEL extern "C" __global__ void __launch_bounds__(THREADS, 1)
#define KERNELS(name, Cell)                                        \
    KERNEL name##_forward(const Problem p) { forward<Cell>(p); }   \
    KERNEL name##_backward(const Problem p) { backward<Cell>(p); }

KERNELS(rnn, Rnn)
KERNELS(lstm, Lstm)
KERNELS(gru, Gru)
