// All that a step does between its product and the next one, in one kernel for each cell and direction.
//
// fused/scan.py launches these. An array of one step is (rows, N), one of all steps (rows, T, N): time beside
// the batch, so that all steps together are the columns of one product.
// A thread has one unit of one sequence, and reads and writes at no other thread's places.
//
// The compiler is told NUMBER, float or double, and ACT, Tanh or Relu.

#include "../places.cuh"

// What a step is given, as fused/scan.py has it; what its kernel has no use for is 0.
struct Step
{
    int t, T, H, N;
    int K;  // columns of U
    Strides dys_strides;
    const bool *mask;         // or null: all sequences have all steps
    const long long *tokens;  // or null: there are numbers, and U x is in the place of the gates
    const number *U, *b, *bw, *w;  // w: W h
    number *gates, *h, *c, *h_before, *c_before, *ys;
    const number *dys;  // or null
    number *dh, *rest, *dc, *da, *dw;  // dh: by way of the next step's product; rest: past it
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

// Keep the state before the step; then move on, or stand still where there is no such step.
static __device__ void advance(const Place &p, number after, number *state, number *before)
{
    before[p.then] = state[p.now];
    state[p.now] = after;
}

// dL/dh after the step: from the next step, and from the outputs.
static __device__ number arriving(const Step &s, const Place &p, bool running)
{
    number dh = s.dh[p.now] + s.rest[p.now];
    bool has_output = running && s.dys != 0;
    return has_output ? dh + s.dys[s.dys_strides(p.unit, p.t, p.sequence)] : dh;
}

extern "C" __global__ void rnn_forward(Step s)
{
    Place p = place(s);
    if (!p.exists) return;
    number u[1], h_new;
    input<1>(p, s.gates, s.U, s.K, s.tokens, u);
    cells::rnn_forward<ACT>(u[0], s.w[p.now], s.b[p.unit], h_new);
    bool running = runs(p, s.mask);
    advance(p, running ? h_new : s.h[p.now], s.h, s.h_before);
    s.ys[p.then] = running ? h_new : 0;
}

extern "C" __global__ void rnn_backward(Step s)
{
    Place p = place(s);
    if (!p.exists) return;
    bool running = runs(p, s.mask);
    number dh = arriving(s, p, running), da_h = 0;
    if (running) cells::rnn_backward<ACT>(after(p, s.T, s.h_before, s.h), dh, da_h);
    s.da[p.gates] = da_h;
    s.dw[p.now] = da_h;
    s.rest[p.now] = running ? 0 : dh;
}

extern "C" __global__ void lstm_forward(Step s)
{
    Place p = place(s);
    if (!p.exists) return;
    number u[4], w_gates[4], b_gates[4], ifog[4], h_new, c_new;
    input<4>(p, s.gates, s.U, s.K, s.tokens, u);
    load<4>(w_gates, s.w, p.now, p.now_gate);
    load<4>(b_gates, s.b, p.unit, s.H);
    cells::lstm_forward<ACT>(u, w_gates, b_gates, s.c[p.now], ifog, h_new, c_new);
    store<4>(ifog, s.gates, p.gates, p.then_gate);
    bool running = runs(p, s.mask);
    advance(p, running ? h_new : s.h[p.now], s.h, s.h_before);
    advance(p, running ? c_new : s.c[p.now], s.c, s.c_before);
    s.ys[p.then] = running ? h_new : 0;
}

extern "C" __global__ void lstm_backward(Step s)
{
    Place p = place(s);
    if (!p.exists) return;
    bool running = runs(p, s.mask);
    number dh = arriving(s, p, running);
    number ifog[4], da_gates[4] = {0, 0, 0, 0};
    load<4>(ifog, s.gates, p.gates, p.then_gate);
    number c = s.c_before[p.then], c_new = after(p, s.T, s.c_before, s.c), dc_new = s.dc[p.now];
    if (running) cells::lstm_backward<ACT>(ifog, c, c_new, dh, dc_new, da_gates, s.dc[p.now]);
    store<4>(da_gates, s.da, p.gates, p.then_gate);
    store<4>(da_gates, s.dw, p.now, p.now_gate);
    s.rest[p.now] = running ? 0 : dh;
}

extern "C" __global__ void gru_forward(Step s)
{
    Place p = place(s);
    if (!p.exists) return;
    number u[3], w_gates[3], b_gates[3], rznm[4], h_new;
    input<3>(p, s.gates, s.U, s.K, s.tokens, u);
    load<3>(w_gates, s.w, p.now, p.now_gate);
    load<3>(b_gates, s.b, p.unit, s.H);
    cells::gru_forward(u, w_gates, b_gates, s.bw[p.unit], s.h[p.now], rznm, h_new);
    store<4>(rznm, s.gates, p.gates, p.then_gate);
    bool running = runs(p, s.mask);
    advance(p, running ? h_new : s.h[p.now], s.h, s.h_before);
    s.ys[p.then] = running ? h_new : 0;
}

extern "C" __global__ void gru_backward(Step s)
{
    Place p = place(s);
    if (!p.exists) return;
    bool running = runs(p, s.mask);
    number dh = arriving(s, p, running);
    number rznm[4], du[3] = {0, 0, 0}, dw_gates[3] = {0, 0, 0}, past = dh;
    load<4>(rznm, s.gates, p.gates, p.then_gate);
    if (running) cells::gru_backward(rznm, s.h_before[p.then], dh, du, dw_gates, past);
    s.da[p.gates] = dw_gates[2];  // rows m, r, z, n: W's are the first three, U's the last
    store<3>(du, s.da + p.then_gate, p.gates, p.then_gate);
    store<3>(dw_gates, s.dw, p.now, p.now_gate);
    s.rest[p.now] = past;
}
