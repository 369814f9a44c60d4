// The loop over time as one kernel, while W fits into one block: as much of it as can be in the registers of its
// threads, the rest in shared memory.
//
// A block has its sequences for itself, and waits for no other one. In a step it multiplies, all threads together,
// and then makes its units, each by one thread: forward h from the sums W h, backward da, and dh from the sums
// W' da. There is a barrier after each of the two.
//
// A product M x is divided like this: a thread has a tile of some rows of M, and of their columns every slices-th run
// of 4. These weights it keeps for the whole sequence, so that of what it multiplies only x is loaded in a step.
// Each slice makes sums of its own, added in order.
//
// What it is given is in problem.cuh, and what a step of each cell takes and keeps in step.cuh; both are the same in
// shared.cu. There, blocks share W. The compiler is told REGISTERS, too: those of a thread for weights.

#include "persistent/problem.cuh"
#include "runs.cuh"
#include "persistent/step.cuh"

// A thread's share of a matrix M.
template <int TALL>
struct Weights
{
    // Runs are taken so many at a time, the last ones of zeros, so that x is loaded before it is needed.
    static const int GROUP = 4;
    static const int KEPT = REGISTERS * 4 / (4 * TALL * int(sizeof(number))) / GROUP * GROUP;  // in registers

    Run<4> kept[KEPT][TALL];
    Run<4> *more;      // the other runs, in shared memory, those of all threads side by side
    int rows;          // of M
    int runs;          // of this thread
    int row, apart;    // of its tile: the first one, and how far it is to the next one
    int slice, slices;
    bool works;        // there are more threads than tiles

    // M [rows, columns], with so much from one number to the one below, and to the one beside it.
    __device__ Weights(const number *M, int rows, int columns, int below, int beside, int slices, number *room)
        : more(reinterpret_cast<Run<4> *>(room)), rows(rows), slices(slices)
    {
        apart = (rows + TALL - 1) / TALL;
        row = threadIdx.x % apart, slice = threadIdx.x / apart, works = slice < slices;
        runs = ((columns + 3) / 4 + slices - 1) / slices;
        const bool aligned = below % 4 == 0 && reinterpret_cast<unsigned long long>(M) % 16 == 0;
        auto some = [&](int k, int i) {
            const int r = row + i * apart, c = column(k);
            const number *from = M + r * below + c * beside;
            Run<4> w = {};
            if (!works || r >= rows || c >= columns) return w;
            if (aligned) return run<4>(from);
            for (int l = 0; l < 4; l++)
                if (c + l < columns) w.at[l] = from[l * beside];
            return w;
        };
#pragma unroll
        for (int k = 0; k < KEPT; k++)
            for (int i = 0; i < TALL; i++) kept[k][i] = some(k, i);
        for (int k = KEPT; works && k < (runs + GROUP - 1) / GROUP * GROUP; k++)
            for (int i = 0; i < TALL; i++) more[place(k, i)] = some(k, i);
    }

    // The first column of its k-th run.
    __device__ int column(int k) const { return 4 * (k * slices + slice); }

    // Where `more` has row i of it.
    __device__ int place(int k, int i) const { return ((k - KEPT) * TALL + i) * apart * slices + threadIdx.x; }

    // sums [slices, rows, COLUMNS] = M x, for x [COLUMNS, pitch] that ends in zeros for whole groups.
    template <int COLUMNS>
    __device__ void multiply(number *sums, const number *x, int pitch) const
    {
        if (!works) return;
        number sum[TALL][COLUMNS] = {};
        auto add = [&](const Run<4> w[TALL], int k) {
            for (int n = 0; n < COLUMNS; n++)
            {
                const Run<4> now = run<4>(x + n * pitch + column(k));
                for (int l = 0; l < 4; l++)
                    for (int i = 0; i < TALL; i++) sum[i][n] += w[i].at[l] * now.at[l];
            }
        };
#pragma unroll
        for (int first = 0; first < KEPT; first += GROUP)
        {
            if (first >= runs) break;
            for (int k = first; k < first + GROUP; k++) add(kept[k], k);
        }
        for (int first = KEPT; first < runs; first += GROUP)
            for (int k = first; k < first + GROUP; k++)
            {
                Run<4> w[TALL];
                for (int i = 0; i < TALL; i++) w[i] = more[place(k, i)];
                add(w, k);
            }
        for (int i = 0; i < TALL; i++)
            if (row + i * apart < rows)
                for (int n = 0; n < COLUMNS; n++)
                    sums[(slice * rows + row + i * apart) * COLUMNS + n] = sum[i][n];
    }
};

// What a thread makes of the block's units of all its sequences: from `first` on, each every blockDim.x.
template <int COLUMNS>
struct Units
{
    int first, all, sequence, sequences;

    __device__ Units(const Problem &p)
    {
        first = threadIdx.x, all = p.H * COLUMNS;
        sequence = p.first + blockIdx.x * COLUMNS;
        int left = p.first + p.count - sequence;
        sequences = left < COLUMNS ? left : COLUMNS;
    }

    __device__ bool exists(int k) const { return k < all && k % COLUMNS < sequences; }

    __device__ Place place(const Problem &p, int t, int k) const
    {
        return ::place(p, t, k / COLUMNS, sequence + k % COLUMNS);
    }
};

template <int COLUMNS>
static __device__ void forward(const Problem &p)
{
    enum { TALL = W_ROWS == 3 ? 3 : 4 };
    const Units<COLUMNS> my(p);
    number *x = reinterpret_cast<number *>(dynamic_shared);  // h, [COLUMNS, h_pitch]
    number *sums = x + COLUMNS * p.h_pitch;                  // [slices, rows, COLUMNS]
    number *more = sums + (p.slices * W_ROWS * p.H * COLUMNS + 3) / 4 * 4;
    const Weights<TALL> W(p.W, W_ROWS * p.H, p.H, p.H, 1, p.slices, more);
    Given given;  // of this thread's first unit
    for (int k = threadIdx.x; k < COLUMNS * p.h_pitch; k += blockDim.x) x[k] = 0;
    __syncthreads();
    for (int k = my.first; k < my.all; k += blockDim.x)
        if (my.exists(k)) x[k % COLUMNS * p.h_pitch + k / COLUMNS] = start(p, my.place(p, 0, k));
    for (int t = 0; t < p.T; t++)
    {
        if (my.exists(my.first)) given.load(p, my.place(p, t, my.first));
        __syncthreads();
        W.template multiply<COLUMNS>(sums, x, p.h_pitch);
        __syncthreads();
        for (int k = my.first; k < my.all; k += blockDim.x)
        {
            if (!my.exists(k)) continue;
            number w[W_ROWS] = {};
            for (int slice = 0; slice < p.slices; slice++)
                for (int g = 0; g < W_ROWS; g++) w[g] += sums[(slice * W_ROWS + g) * my.all + k];
            const Place s = my.place(p, t, k);
            if (k != my.first) given.load(p, s);
            x[k % COLUMNS * p.h_pitch + k / COLUMNS] = step(p, s, given, w);
        }
    }
}

template <int COLUMNS>
static __device__ void backward(const Problem &p)
{
    enum { TALL = 4 };
    const Units<COLUMNS> my(p);
    number *x = reinterpret_cast<number *>(dynamic_shared);  // da, [COLUMNS, d_pitch]
    number *sums = x + COLUMNS * p.d_pitch;                  // [back_slices, H, COLUMNS]
    number *more = sums + (p.back_slices * p.H * COLUMNS + 3) / 4 * 4;
    const Weights<TALL> W(p.W, p.H, W_ROWS * p.H, 1, p.H, p.back_slices, more);
    GivenBack given;  // of this thread's first unit
    for (int k = threadIdx.x; k < COLUMNS * p.d_pitch; k += blockDim.x) x[k] = 0;
    if (my.exists(my.first)) given.load(p, my.place(p, p.T - 1, my.first));
    // From the state after step t - 1 to the one before it; in the end, sums are only added up.
    for (int t = p.T; t >= 0; t--)
    {
        __syncthreads();
        for (int k = my.first; k < my.all; k += blockDim.x)
        {
            if (!my.exists(k)) continue;
            const Place s = my.place(p, t - 1, k);
            if (k != my.first) given.load(p, s);
            number dh = given.d[0];
            for (int slice = 0; slice < (t < p.T ? p.back_slices : 0); slice++) dh += sums[slice * my.all + k];
            if (t > 0)
            {
                number dw[W_ROWS] = {};
                dh = step_back(p, s, given, dh, dw);
                for (int g = 0; g < W_ROWS; g++) x[k % COLUMNS * p.d_pitch + g * p.H + k / COLUMNS] = dw[g];
            }
            p.d[0][s.now] = dh;
        }
        if (t == 0) return;
        __syncthreads();
        if (my.exists(my.first)) given.load(p, my.place(p, t - 2, my.first));
        W.template multiply<COLUMNS>(sums, x, p.d_pitch);
    }
}

static __device__ void forward(const Problem &p)
{
    if (p.columns == 1) forward<1>(p);
    else forward<2>(p);
}

static __device__ void backward(const Problem &p)
{
    if (p.columns == 1) backward<1>(p);
    else backward<2>(p);
}

KERNELS
