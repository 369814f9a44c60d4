// What the persistent kernels are given, and how they are made: persistent/scan.py fills this in.

#include "../places.cuh"

#ifdef __CUDACC__
#define THREADS 256  // of a block, at most

extern __shared__ __align__(16) unsigned char dynamic_shared[];
#endif

struct Problem
{
    int T, H, N;
    int first, count;  // sequences of this launch
    int blocks;        // in a group: block k has units k H / blocks to (k + 1) H / blocks
    int columns;       // sequences of a group, at most
    int across;        // the same with padding, a multiple of `tile`
    int tile;          // columns of a product that a thread makes: 1, 4 or 8
    int pitch;         // from one row of W to the next in shared memory, a multiple of 4
    int h_pitch;       // the same of h and sums, forward
    int d_pitch;       // and of d, backward
    int chunk;         // rows of h in shared memory at a time, a multiple of DEEP
    int slices;        // of a forward product along h
    int back_slices;   // of a backward product along the block's rows: each makes a part of its own
    int readers;       // threads that add up the parts of a number, each some of them
    int K;             // columns of U
    Strides units, gates_strides, dys_strides;  // of arrays (H, T, N); of `gates` and `da`; of dys
    const bool *real;         // (T, N): whether the sequence has this step; null if all have all
    const long long *tokens;  // (T, N), or null
    const number *U, *W;
    number *gates;                // U x, or room for it; after forward the gates
    number *ys;                   // (H, T, N)
    const number *dys;            // or null
    number *da;                   // what parameters get their gradients from
    // What blocks give each other: forward h, [2, groups, H, across]; backward parts of dh,
    // [2, groups, blocks, back_slices, H, across]
    number *exchange;
    unsigned *counts;             // of arrivals, zero at first, LINE for each group
    const number *own[SOME(PARAMETERS)];    // parameters of units, blocks (H,)
    const number *start[STATES];     // (H, N): the states before the first step
    number *before[STATES];          // (H, T, N): and before each step
    number *state[STATES];           // (H, N): the states after the last one
    number *d[STATES];               // (H, N): at first of the last states, in the end of the first ones
};

static __device__ Place place(const Problem &p, int t, int unit, int sequence)
{
    return place(t, p.H, p.N, unit, sequence, p.units, p.gates_strides);
}

#define KERNEL extern "C" __global__ void __launch_bounds__(THREADS, 1)
#define KERNELS                                             \
    KERNEL scan_forward(const Problem p) { forward(p); }    \
    KERNEL scan_backward(const Problem p) { backward(p); }
