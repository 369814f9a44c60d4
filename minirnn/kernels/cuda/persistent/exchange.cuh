// How numbers come into a block of the persistent kernels: the rows of W once, and in each step what the blocks of a
// group give each other.
//
// Memory is some hundred times as far as the next multiplication. So a thread asks for several runs of neighbours
// before it needs the first.

static const int AT_ONCE = 8;  // loads of a thread that are on their way together

// What is multiplied, of a number: as it is, or rounded.
static __device__ number factor(number x);

// The rows of W of the block's units, gate by gate, ended by zeros.
static __device__ void keep_weights(number *W, const Problem &p, const Share &my)
{
    const int all = my.units * p.H;  // of a gate, one after the other
    for (int gate = 0; gate < W_ROWS; gate++)
    {
        const number *from = p.W + ((long long)gate * p.H + my.unit) * p.H;
        number *to = W + gate * my.units * p.pitch;
        for (int first = threadIdx.x; first < all; first += AT_ONCE * blockDim.x)
        {
            number w[AT_ONCE] = {};
            for (int i = 0, k = first; i < AT_ONCE; i++, k += blockDim.x)
                if (k < all) w[i] = from[k];
            for (int i = 0, k = first; i < AT_ONCE; i++, k += blockDim.x)
                if (k < all) to[k / p.H * p.pitch + k % p.H] = factor(w[i]);
        }
    }
    const int padding = p.pitch - p.H;
    for (int k = threadIdx.x; k < W_ROWS * my.units * padding; k += blockDim.x)
        W[k / padding * p.pitch + p.H + k % padding] = 0;
}

// h [rows, h_pitch] from all of the group's h, [left, across]; where there is none left, zeros.
template <int WIDE>
static __device__ void bring(number *h, const number *from, int rows, int left, const Share &my, const Problem &p)
{
    for (int first = my.run_row; first < rows; first += AT_ONCE * my.run_rows)
    {
        Run<WIDE> x[AT_ONCE] = {};
        for (int i = 0, k = first; i < AT_ONCE; i++, k += my.run_rows)
            if (k < left) x[i] = run<WIDE>(from + k * p.across + my.run);
        for (int i = 0, k = first; i < AT_ONCE; i++, k += my.run_rows)
            if (k < rows) put(h, k * p.h_pitch + my.run, x[i]);
    }
}

static __device__ void bring(number *h, const number *from, int rows, int left, const Share &my, const Problem &p)
{
    if (p.across % 4 == 0) bring<4>(h, from, rows, left, my, p);
    else bring<1>(h, from, rows, left, my, p);
}

// sums [readers, units, d_pitch]: of the block's parts, [units, across] at `parts` and every `apart` numbers on; each
// reader adds up every readers-th part.
template <int WIDE>
static __device__ void add_parts(
    number *sums, const number *parts, int sources, long long apart, const Share &my, const Problem &p)
{
    for (int row = my.run_row; row < p.readers * my.units; row += my.run_rows)
    {
        const int reader = row / my.units;
        const number *from = parts + row % my.units * p.across + my.run;
        Run<WIDE> sum = {};
        for (int first = reader; first < sources; first += AT_ONCE * p.readers)
        {
            Run<WIDE> x[AT_ONCE] = {};
            for (int i = 0, k = first; i < AT_ONCE; i++, k += p.readers)
                if (k < sources) x[i] = run<WIDE>(from + k * apart);
            for (int i = 0; i < AT_ONCE; i++)
                for (int n = 0; n < WIDE; n++) sum.at[n] += x[i].at[n];
        }
        put(sums, row * p.d_pitch + my.run, sum);
    }
}

static __device__ void add_parts(
    number *sums, const number *parts, int sources, long long apart, const Share &my, const Problem &p)
{
    if (p.across % 4 == 0) add_parts<4>(sums, parts, sources, apart, my, p);
    else add_parts<1>(sums, parts, sources, apart, my, p);
}
