// The products of the persistent kernels, a few numbers by each thread.
//
// A thread makes a tile of ROWS rows by RUNS runs of WIDE columns: what it loads of one factor serves all that it
// loads of the other. Its rows, and its runs, are as far apart as there are tiles, so that neighbouring threads
// load what stands side by side.

static const int DEEP = 4;  // rows of h at a time

// A thread's first job, where the product has so many rows.
static __device__ Job first_job(int rows, const Problem &p)
{
    int high = p.tile == 8 ? 8 : 4;
    return Job(threadIdx.x, (rows + high - 1) / high, p);
}

static __device__ number factor(number x)
{
    return x;
}

// sums [slices, rows, h_pitch] += W h, for `depth` rows of h from k on; a thread takes every slices-th run of 4
// along h.
template <int ROWS, int RUNS, int WIDE>
static __device__ void add_products(
    number *sums, const number *W, const number *h, int rows, int k, int depth, const Job &first, const Problem &p)
{
    const int down = (rows + ROWS - 1) / ROWS, wide = p.across / (RUNS * WIDE), next = wide * WIDE;
    for (int job = threadIdx.x; job < p.slices * down * wide; job += blockDim.x)
    {
        const Job my = job < int(blockDim.x) ? first : Job(job, down, p);
        const int column = my.column / RUNS;
        const number *from[ROWS];
        int to[ROWS];
        Run<WIDE> sum[ROWS][RUNS] = {};
        for (int i = 0; i < ROWS; i++)
        {
            const int row = my.tile + i * down;
            from[i] = W + (row < rows ? row : 0) * p.pitch + k;
            to[i] = row < rows ? (my.slice * rows + row) * p.h_pitch + column : -1;
            for (int n = 0; n < RUNS; n++)
                if (k > 0 && to[i] >= 0) sum[i][n] = run<WIDE>(sums + to[i] + n * next);
        }
        for (int j = 4 * my.slice; j < depth; j += 4 * p.slices)
        {
            Run<4> w[ROWS];
            for (int i = 0; i < ROWS; i++) w[i] = run<4>(from[i] + j);
            for (int l = 0; l < 4; l++)
                for (int n = 0; n < RUNS; n++)
                {
                    Run<WIDE> x = run<WIDE>(h + (j + l) * p.h_pitch + column + n * next);
                    for (int i = 0; i < ROWS; i++)
                        for (int m = 0; m < WIDE; m++) sum[i][n].at[m] += w[i].at[l] * x.at[m];
                }
        }
        for (int i = 0; i < ROWS; i++)
            for (int n = 0; n < RUNS; n++)
                if (to[i] >= 0) put(sums, to[i] + n * next, sum[i][n]);
    }
}

// parts [back_slices, H, across] = W' d; a thread takes every back_slices-th of the block's rows, and of W' as many
// runs of 4 rows as it makes.
template <int ROWS, int RUNS, int WIDE>
static __device__ void give_parts(
    number *parts, const number *W, const number *d, int rows, const Job &first, const Problem &p)
{
    const int down = (p.H + ROWS - 1) / ROWS, wide = p.across / (RUNS * WIDE), next = wide * WIDE;
    for (int job = threadIdx.x; job < p.back_slices * down * wide; job += blockDim.x)
    {
        const Job my = job < int(blockDim.x) ? first : Job(job, down, p);
        const int column = my.column / RUNS;
        int k[ROWS / 4];
        Run<WIDE> sum[ROWS][RUNS] = {};
        for (int i = 0; i < ROWS / 4; i++) k[i] = 4 * (my.tile + i * down);
#pragma unroll 4
        for (int row = my.slice; row < rows; row += p.back_slices)
        {
            Run<4> w[ROWS / 4];
            for (int i = 0; i < ROWS / 4; i++) w[i] = run<4>(W + row * p.pitch + (k[i] < p.H ? k[i] : 0));
            for (int n = 0; n < RUNS; n++)
            {
                Run<WIDE> x = run<WIDE>(d + row * p.d_pitch + column + n * next);
                for (int i = 0; i < ROWS; i++)
                    for (int m = 0; m < WIDE; m++) sum[i][n].at[m] += w[i / 4].at[i % 4] * x.at[m];
            }
        }
        number *to = parts + (long long)my.slice * p.H * p.across;
        for (int i = 0; i < ROWS; i++)
            for (int n = 0; n < RUNS; n++)
                if (k[i / 4] + i % 4 < p.H) put(to, (k[i / 4] + i % 4) * p.across + column + n * next, sum[i][n]);
    }
}

static __device__ void add_products(
    number *sums, const number *W, const number *h, int rows, int k, int depth, const Job &first, const Problem &p)
{
    if (p.tile == 8) add_products<8, 2, 4>(sums, W, h, rows, k, depth, first, p);
    else if (p.tile == 4) add_products<4, 1, 4>(sums, W, h, rows, k, depth, first, p);
    else add_products<4, 1, 1>(sums, W, h, rows, k, depth, first, p);
}

static __device__ void give_parts(
    number *parts, const number *W, const number *d, int rows, const Job &first, const Problem &p)
{
    if (p.tile == 8) give_parts<8, 2, 4>(parts, W, d, rows, first, p);
    else if (p.tile == 4) give_parts<4, 1, 4>(parts, W, d, rows, first, p);
    else give_parts<4, 1, 1>(parts, W, d, rows, first, p);
}
