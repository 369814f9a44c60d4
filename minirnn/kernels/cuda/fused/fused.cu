// All that a step does between its product and the next one, in one kernel for each direction.
//
// scan.py launches these. An array of one step is (rows, N), one of all steps (rows, T, N): time beside the batch, so
// that all steps together are the columns of one product.
// A thread has one unit of one sequence, and reads and writes at no other thread's places.
//
// Ahead of this stand functions.cuh and the text of a cell (cell.py).

#include "../places.cuh"

// What a step is given, as scan.py has it; what its kernel has no use for is 0.
struct Step
{
    int t, T, H, N;
    int K;  // columns of U
    Strides dys_strides;
    const bool *real;         // or null: all sequences have all steps
    const long long *tokens;  // or null: there are numbers, and U x is in the place of the gates
    const number *U, *w;  // w: W h
    number *gates, *ys;
    const number *dys;  // or null
    number *rest, *da, *dw;  // rest: what reaches h past W
    const number *own[SOME(PARAMETERS)];
    number *state[STATES], *before[STATES], *d[STATES];  // d of h: by way of the next step's product
};

// The unit and sequence of this thread.
static __device__ Place place(const Step &s)
{
    long long k = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    bool exists = k < (long long)s.H * s.N;
    Strides by_row = {(long long)s.T * s.N, s.N, 1};
    Place p = place(s.t, s.H, s.N, exists ? k / s.N : 0, exists ? k % s.N : 0, by_row, by_row);
    p.exists = exists;
    return p;
}

extern "C" __global__ void step_forward(Step s)
{
    Place p = place(s);
    if (!p.exists) return;
    number u[U_ROWS], w[SOME(W_ROWS)], own[SOME(OWN)], state[STATES], gate[SOME(GATES)], after[STATES];
    input(p, s.gates, s.U, s.K, s.tokens, u);
    load(W_ROWS, w, s.w, p.now, p.now_gate);
    cell_own(s.own, s.H, p.unit, own);
    for (int k = 0; k < STATES; k++) state[k] = s.state[k][p.now];
    cell_forward(u, w, own, state, gate, after);
    store(GATES, gate, s.gates, p.gates, p.then_gate);
    bool real = is_real(p, s.real);
    for (int k = 0; k < STATES; k++)
    {
        s.before[k][p.then] = state[k];
        if (real) s.state[k][p.now] = after[k];
    }
    s.ys[p.then] = real ? after[0] : 0;
}

extern "C" __global__ void step_backward(Step s)
{
    Place p = place(s);
    if (!p.exists) return;
    number own[SOME(OWN)], state[STATES], after[STATES], gate[SOME(GATES)], d[STATES];
    number row[DA_ROWS] = {}, dw[SOME(W_ROWS)] = {}, past[STATES];
    bool real = is_real(p, s.real);
    cell_own(s.own, s.H, p.unit, own);
    for (int k = 0; k < STATES; k++)
    {
        state[k] = s.before[k][p.then];
        after[k] = ::after(p, s.T, s.before[k], s.state[k]);
        past[k] = d[k] = s.d[k][p.now];
    }
    d[0] += s.rest[p.now];
    past[0] = d[0];
    if (real && s.dys != 0) d[0] += s.dys[s.dys_strides(p.unit, p.t, p.sequence)];
    load(GATES, gate, s.gates, p.gates, p.then_gate);
    if (real) cell_backward(own, state, after, gate, d, row, dw, past);
    store(DA_ROWS, row, s.da, p.gates, p.then_gate);
    store(W_ROWS, dw, s.dw, p.now, p.now_gate);
    s.rest[p.now] = past[0];
    for (int k = 1; k < STATES; k++) s.d[k][p.now] = past[k];
}
