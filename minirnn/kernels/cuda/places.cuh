// Where a unit of a sequence is in the arrays of a step, (rows, N), and of all steps, (rows, T, N): all steps
// together are the columns of one product.

// How far it is from a number of an array (rows, T, N) to the next one of each axis.
struct Strides
{
    long long unit, t, sequence;

    __device__ long long operator()(int at_unit, int at_t, int at_sequence) const
    {
        return at_unit * unit + at_t * t + at_sequence * sequence;
    }
};

// Where a thread's unit of its sequence is.
struct Place
{
    int t, H, N, unit, sequence;
    bool exists;  // there are more threads than units
    long long now, now_gate;     // in (rows, N); and from each gate to the next, H rows on
    long long then, next;        // in (H, T, N); and from a step to the next one
    long long gates, then_gate;  // in (gates H, T, N); and from each gate to the next
};

static __device__ Place place(
    int t, int H, int N, int unit, int sequence, const Strides &of_units, const Strides &of_gates)
{
    Place p;
    p.t = t, p.H = H, p.N = N, p.unit = unit, p.sequence = sequence, p.exists = true;
    p.now = (long long)unit * N + sequence, p.now_gate = (long long)H * N;
    p.then = of_units(unit, t, sequence), p.next = of_units.t;
    p.gates = of_gates(unit, t, sequence), p.then_gate = H * of_gates.unit;
    return p;
}

// Whether the sequence has this step; without `real` (T, N) all sequences have all steps.
static __device__ bool is_real(const Place &p, const bool *real)
{
    return real == 0 || real[(long long)p.t * p.N + p.sequence];
}

static __device__ void load(int count, number values[], const number *from, long long first, long long next)
{
    for (int g = 0; g < count; g++) values[g] = from[first + g * next];
}

static __device__ void store(int count, const number values[], number *to, long long first, long long next)
{
    for (int g = 0; g < count; g++) to[first + g * next] = values[g];
}

// U x: in `gates` if x was multiplied; for tokens (T, N), columns of U. What is no token has no column, and is not a
// number.
static __device__ void input(
    const Place &p, const number *gates, const number *U, int K, const long long *tokens, number u[])
{
    if (tokens == 0) return load(U_ROWS, u, gates, p.gates, p.then_gate);
    long long token = tokens[(long long)p.t * p.N + p.sequence];
    bool known = 0 <= token && token < K;
    for (int g = 0; g < U_ROWS; g++)
        u[g] = known ? U[((long long)g * p.H + p.unit) * K + token] : number(nan(""));
}

// The state after the step: the one before the next step, or the last one.
static __device__ number after(const Place &p, int T, const number *before, const number *last)
{
    return p.t + 1 < T ? before[p.then + p.next] : last[p.now];
}
