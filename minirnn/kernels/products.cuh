// The products of the persistent kernels, a few numbers by each thread; products_tf32.cuh has the same on
// tensor cores.

static const int DEEP = 4;  // rows of h at a time

// What is multiplied, of a number.
static __device__ number factor(number x)
{
    return x;
}

// Neighbouring numbers, loaded at once.
template <int HOW_MANY>
struct alignas(HOW_MANY == 1 ? sizeof(number) : 16) Run
{
    number at[HOW_MANY];
};

template <int HOW_MANY>
static __device__ Run<HOW_MANY> run(const number *from)
{
    return *reinterpret_cast<const Run<HOW_MANY> *>(from);
}

// sums [slices, rows, h_pitch] += W h, for `depth` rows of h from k on. A thread makes 4 rows by WIDE columns,
// of every slices-th run of 4 along h.
template <int WIDE>
static __device__ void add_products(
    number *sums, const number *W, const number *h, int rows, int k, int depth, const Problem &p)
{
    int down = (rows + 3) / 4, wide = p.across / WIDE;
    for (int job = threadIdx.x; job < p.slices * down * wide; job += blockDim.x)
    {
        int column = job % wide * WIDE, slice = job / wide / down, row[4];
        Run<WIDE> sum[4] = {}, *to[4];
        for (int i = 0; i < 4; i++)
        {
            row[i] = job / wide % down + i * down;  // so that neighbouring threads have neighbouring rows
            to[i] = reinterpret_cast<Run<WIDE> *>(sums + (slice * rows + row[i]) * p.h_pitch + column);
            if (k > 0 && row[i] < rows) sum[i] = *to[i];
        }
        for (int j = 4 * slice; j < depth; j += 4 * p.slices)
        {
            Run<4> w[4];
            for (int i = 0; i < 4; i++) w[i] = run<4>(W + (row[i] < rows ? row[i] : 0) * p.pitch + k + j);
            for (int l = 0; l < 4; l++)
            {
                Run<WIDE> x = run<WIDE>(h + (j + l) * p.h_pitch + column);
                for (int i = 0; i < 4; i++)
                    for (int n = 0; n < WIDE; n++) sum[i].at[n] += w[i].at[l] * x.at[n];
            }
        }
        for (int i = 0; i < 4; i++)
            if (row[i] < rows) *to[i] = sum[i];
    }
}

// parts [back_slices, H, across] = W' d. A thread makes 4 rows by WIDE columns, of every back_slices-th of the
// block's rows.
template <int WIDE>
static __device__ void give_parts(number *parts, const number *W, const number *d, int rows, const Problem &p)
{
    int down = (p.H + 3) / 4, wide = p.across / WIDE;
    for (int job = threadIdx.x; job < p.back_slices * down * wide; job += blockDim.x)
    {
        int column = job % wide * WIDE, k = job / wide % down * 4, slice = job / wide / down;
        Run<WIDE> sum[4] = {};
        for (int row = slice; row < rows; row += p.back_slices)
        {
            Run<4> w = run<4>(W + row * p.pitch + k);
            Run<WIDE> x = run<WIDE>(d + row * p.d_pitch + column);
            for (int i = 0; i < 4; i++)
                for (int n = 0; n < WIDE; n++) sum[i].at[n] += w.at[i] * x.at[n];
        }
        number *to = parts + ((long long)slice * p.H + k) * p.across + column;
        for (int i = 0; i < 4; i++)
            if (k + i < p.H) *reinterpret_cast<Run<WIDE> *>(to + i * p.across) = sum[i];
    }
}

static __device__ void add_products(
    number *sums, const number *W, const number *h, int rows, int k, int depth, const Problem &p)
{
    if (p.across % 4 == 0) add_products<4>(sums, W, h, rows, k, depth, p);
    else add_products<1>(sums, W, h, rows, k, depth, p);
}

static __device__ void give_parts(
    number *parts, const number *W, const number *d, int rows, const Problem &p)
{
    if (p.across % 4 == 0) give_parts<4>(parts, W, d, rows, p);
    else give_parts<1>(parts, W, d, rows, p);
}
