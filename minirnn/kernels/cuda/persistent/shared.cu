// The loop over time as one kernel for each direction: W stays on chip, h travels.
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
// who comes first. Nothing is written where a block may still read what was there before: what blocks give
// each other has two places, used in turn.
//
// U x is ready before; dU, dW, db and dx are made after. persistent/scan.py launches this, says how work is
// divided (`Problem`), and sees to it that all blocks are on the device together, or they would wait forever.
// An array of one step is (rows, N), one of all steps (rows, T, N), as in fused.cu.
//
// Ahead of this stand functions.cuh and the text of a cell (cell.py). A compiler of plain C++ takes all of it, too,
// with what stands in for a device: so it is tested on machines without one.

#include "problem.cuh"
#include "../runs.cuh"

#ifdef __CUDACC__
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
#endif

static const int LINE = 32;  // counts in a line of the cache

// What one block has to do.
struct Share
{
    int group, member;
    int unit, units;          // its first one, and how many
    int sequence, sequences;
    // Where it needs a thread for each sequence, a thread has one column and every so many rows of it.
    int column, row, rows;
    // The same where a thread loads a run of neighbours at once, from `run` on.
    int run, run_row, run_rows;
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
    int neighbours = p.across % 4 == 0 ? 4 : 1, wide = p.across / neighbours;
    my.run = threadIdx.x % wide * neighbours, my.run_row = threadIdx.x / wide, my.run_rows = blockDim.x / wide;
    if (my.row == my.rows) my.row = 1 << 30;  // left over
    if (my.run_row == my.run_rows) my.run_row = 1 << 30;
    return my;
}

static __device__ Place place(const Problem &p, const Share &my, int t, int row)
{
    return place(p, t, my.unit + row, my.sequence + my.column);
}

// What a thread makes at a time of a product: a tile of p.tile columns and some rows, in one slice. `down` tiles are
// below one another. Divisions are slow, so the first is found before the loop over time.
struct Job
{
    int slice, tile, column;  // `tile` of those below one another; and its first column

    __device__ Job(int job, int down, const Problem &p)
    {
        int wide = p.across / p.tile;
        slice = job / wide / down, tile = job / wide % down, column = job % wide * p.tile;
    }
};

#include "exchange.cuh"
#include "products.cuh"
#include "step.cuh"

// Say that this block is here: the others of its group may read what it has written.
static __device__ void arrive(const Problem &p, const Share &my)
{
    __syncthreads();
    if (threadIdx.x == 0 && p.blocks > 1) arrive(p.counts + my.group * LINE);
}

// Wait until the blocks of the group have all been here so many times.
static __device__ void wait(const Problem &p, const Share &my, unsigned times)
{
    if (threadIdx.x == 0 && p.blocks > 1)
        while (int(arrived(p.counts + my.group * LINE) - times * p.blocks) < 0) {}
    __syncthreads();
}

static __device__ void forward(const Problem &p)
{
    const Share my = share(p);
    const int rows = W_ROWS * my.units, depth = (p.H + DEEP - 1) / DEEP * DEEP;
    const int units = my.column < my.sequences ? my.units : 0;  // in this thread's column
    const int groups = gridDim.x / p.blocks;
    const long long all = (long long)p.H * p.across;       // of h of a group
    const bool alone = p.blocks == 1 && depth <= p.chunk;  // h need not leave the block
    number *W = reinterpret_cast<number *>(dynamic_shared);
    number *h = W + rows * p.pitch;          // [chunk, h_pitch]
    number *sums = h + p.chunk * p.h_pitch;  // [slices, rows, h_pitch]
    Given given;                             // of this thread's first unit
    const Job job = first_job(rows, p);
    keep_weights(W, p, my);
    number *first = p.exchange + my.group * all + my.unit * p.across + my.column;
    for (int row = my.row; row < units; row += my.rows)
        first[row * p.across] = factor(start(p, place(p, my, 0, row)));
    for (int t = 0; t < p.T; t++)
    {
        arrive(p, my);
        if (my.row < units) given.load(p, place(p, my, t, my.row));
        wait(p, my, t + 1);
        for (int k = 0; k < depth; k += p.chunk)
        {
            int here = depth - k < p.chunk ? depth - k : p.chunk;
            if (!alone || t == 0)
            {
                const number *from = p.exchange + (t % 2 * groups + my.group) * all;
                bring(h, from + k * p.across, here, p.H - k, my, p);
                __syncthreads();
            }
            add_products(sums, W, h, rows, k, here, job, p);
            __syncthreads();
        }
        number *next = p.exchange + ((t + 1) % 2 * groups + my.group) * all + my.unit * p.across;
        for (int row = my.row; row < units; row += my.rows)
        {
            number w[W_ROWS] = {};
            for (int slice = 0; slice < p.slices; slice++)
                for (int g = 0; g < W_ROWS; g++)
                    w[g] += sums[(slice * rows + g * my.units + row) * p.h_pitch + my.column];
            Place s = place(p, my, t, row);
            if (row != my.row) given.load(p, s);
            number h_new = step(p, s, given, w);
            if (alone) h[row * p.h_pitch + my.column] = factor(h_new);
            else next[row * p.across + my.column] = factor(h_new);
        }
    }
}

static __device__ void backward(const Problem &p)
{
    const Share my = share(p);
    const int rows = W_ROWS * my.units, sources = p.blocks * p.back_slices;
    const int units = my.column < my.sequences ? my.units : 0;  // in this thread's column
    const int groups = gridDim.x / p.blocks;
    number *W = reinterpret_cast<number *>(dynamic_shared);
    // [gates or readers, units, d_pitch]: sums of parts, and in their place d, as a thread's own sums are where its
    // own numbers of d are
    number *d = W + rows * p.pitch;
    const long long part = (long long)p.H * p.across, all = part * sources;  // of a group
    GivenBack given;  // of this thread's first unit
    const Job job = first_job(p.H, p);
    keep_weights(W, p, my);
    if (my.row < units) given.load(p, place(p, my, p.T - 1, my.row));
    // From the state after step t - 1 to the one before it; in the end, parts are only added up.
    for (int t = p.T; t >= 0; t--)
    {
        if (t < p.T)
        {
            const number *parts = p.exchange + (t % 2 * groups + my.group) * all;
            add_parts(d, parts + my.unit * p.across, sources, part, my, p);
            __syncthreads();
        }
        for (int row = my.row; row < units; row += my.rows)
        {
            Place s = place(p, my, t - 1, row);
            if (row != my.row) given.load(p, s);
            number dh = given.d[0];
            for (int k = 0; k < (t < p.T ? p.readers : 0); k++) dh += d[(k * my.units + row) * p.d_pitch + my.column];
            if (t > 0)
            {
                number dw[W_ROWS] = {};
                dh = step_back(p, s, given, dh, dw);
                for (int g = 0; g < W_ROWS; g++)
                    d[(g * my.units + row) * p.d_pitch + my.column] = factor(dw[g]);
            }
            p.d[0][s.now] = dh;
        }
        if (t == 0) return;
        __syncthreads();
        number *parts = p.exchange + ((t - 1) % 2 * groups + my.group) * all;
        give_parts(parts + my.member * p.back_slices * part, W, d, rows, job, p);
        arrive(p, my);
        if (my.row < units) given.load(p, place(p, my, t - 2, my.row));
        wait(p, my, p.T - t + 1);
    }
}

KERNELS
