// All that a step does between its product and the next one, in one kernel for each cell and direction.
//
// fused_scan.py launches these and says what each array is. An array of one step is (rows, N), one of all
// steps (rows, T, N): time beside the batch, so that all steps together are the columns of one product.
// A thread has one unit of one sequence, and reads and writes at no other thread's places.
//
// The compiler is told NUMBER, float or double, and ACT, Tanh or Relu.

#include "places.cuh"

// The unit and sequence of this thread.
static __device__ Place place(int t, int T, int H, int N)
{
    long long k = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    bool exists = k < (long long)H * N;
    Strides by_row = {(long long)T * N, N, 1};
    Place p = place(t, H, N, exists ? k / N : 0, exists ? k % N : 0, by_row, by_row);
    p.exists = exists;
    return p;
}

// Keep the state before the step; then move on, or stand still where there is no such step.
static __device__ void advance(const Place &p, number after, number *state, number *before)
{
    before[p.then] = state[p.now];
    state[p.now] = after;
}

// dL/dh after the step: by way of the next step's product and past it, and from the outputs.
static __device__ number arriving(
    const Place &p, bool running, const number *product, const number *rest,
    const number *dys, long long dys_t, long long dys_unit, long long dys_sequence)
{
    number dh = product[p.now] + rest[p.now];
    bool has_output = running && dys != 0;
    return has_output ? dh + dys[p.t * dys_t + p.unit * dys_unit + p.sequence * dys_sequence] : dh;
}

extern "C" __global__ void rnn_forward(
    int t, int T, int H, int N, const bool *mask,
    const number *U, int K, const long long *tokens, const number *w, const number *b,
    number *gates, number *h, number *h_before, number *ys)
{
    Place p = place(t, T, H, N);
    if (!p.exists) return;
    number u[1], h_new;
    input<1>(p, gates, U, K, tokens, u);
    cells::rnn_forward<ACT>(u[0], w[p.now], b[p.unit], h_new);
    bool running = runs(p, mask);
    advance(p, running ? h_new : h[p.now], h, h_before);
    ys[p.then] = running ? h_new : 0;
}

extern "C" __global__ void rnn_backward(
    int t, int T, int H, int N, const bool *mask,
    const number *dys, long long dys_t, long long dys_unit, long long dys_sequence,
    const number *product, number *rest, number *da, number *dw,
    const number *h_before, const number *h_last)
{
    Place p = place(t, T, H, N);
    if (!p.exists) return;
    bool running = runs(p, mask);
    number dh = arriving(p, running, product, rest, dys, dys_t, dys_unit, dys_sequence), da_h = 0;
    if (running) cells::rnn_backward<ACT>(after(p, T, h_before, h_last), dh, da_h);
    da[p.gates] = da_h;
    dw[p.now] = da_h;
    rest[p.now] = running ? 0 : dh;
}

extern "C" __global__ void lstm_forward(
    int t, int T, int H, int N, const bool *mask,
    const number *U, int K, const long long *tokens, const number *w, const number *b,
    number *gates, number *h, number *h_before, number *ys,
    number *c, number *c_before)
{
    Place p = place(t, T, H, N);
    if (!p.exists) return;
    number u[4], w_gates[4], b_gates[4], ifog[4], h_new, c_new;
    input<4>(p, gates, U, K, tokens, u);
    load<4>(w_gates, w, p.now, p.now_gate);
    load<4>(b_gates, b, p.unit, H);
    cells::lstm_forward<ACT>(u, w_gates, b_gates, c[p.now], ifog, h_new, c_new);
    store<4>(ifog, gates, p.gates, p.then_gate);
    bool running = runs(p, mask);
    advance(p, running ? h_new : h[p.now], h, h_before);
    advance(p, running ? c_new : c[p.now], c, c_before);
    ys[p.then] = running ? h_new : 0;
}

extern "C" __global__ void lstm_backward(
    int t, int T, int H, int N, const bool *mask,
    const number *dys, long long dys_t, long long dys_unit, long long dys_sequence,
    const number *product, number *rest, number *da, number *dw,
    const number *gates, const number *c_before, const number *c_last, number *dc)
{
    Place p = place(t, T, H, N);
    if (!p.exists) return;
    bool running = runs(p, mask);
    number dh = arriving(p, running, product, rest, dys, dys_t, dys_unit, dys_sequence);
    number ifog[4], da_gates[4] = {0, 0, 0, 0};
    load<4>(ifog, gates, p.gates, p.then_gate);
    number c = c_before[p.then], c_new = after(p, T, c_before, c_last), dc_new = dc[p.now];
    if (running) cells::lstm_backward<ACT>(ifog, c, c_new, dh, dc_new, da_gates, dc[p.now]);
    store<4>(da_gates, da, p.gates, p.then_gate);
    store<4>(da_gates, dw, p.now, p.now_gate);
    rest[p.now] = running ? 0 : dh;
}

extern "C" __global__ void gru_forward(
    int t, int T, int H, int N, const bool *mask,
    const number *U, int K, const long long *tokens, const number *w, const number *b,
    number *gates, number *h, number *h_before, number *ys,
    const number *bw)
{
    Place p = place(t, T, H, N);
    if (!p.exists) return;
    number u[3], w_gates[3], b_gates[3], rznm[4], h_new;
    input<3>(p, gates, U, K, tokens, u);
    load<3>(w_gates, w, p.now, p.now_gate);
    load<3>(b_gates, b, p.unit, H);
    cells::gru_forward(u, w_gates, b_gates, bw[p.unit], h[p.now], rznm, h_new);
    store<4>(rznm, gates, p.gates, p.then_gate);
    bool running = runs(p, mask);
    advance(p, running ? h_new : h[p.now], h, h_before);
    ys[p.then] = running ? h_new : 0;
}

extern "C" __global__ void gru_backward(
    int t, int T, int H, int N, const bool *mask,
    const number *dys, long long dys_t, long long dys_unit, long long dys_sequence,
    const number *product, number *rest, number *da, number *dw,
    const number *gates, const number *h_before)
{
    Place p = place(t, T, H, N);
    if (!p.exists) return;
    bool running = runs(p, mask);
    number dh = arriving(p, running, product, rest, dys, dys_t, dys_unit, dys_sequence);
    number rznm[4], du[3] = {0, 0, 0}, dw_gates[3] = {0, 0, 0}, past = dh;
    load<4>(rznm, gates, p.gates, p.then_gate);
    if (running) cells::gru_backward(rznm, h_before[p.then], dh, du, dw_gates, past);
    da[p.gates] = dw_gates[2];  // rows m, r, z, n: W's are the first three, U's the last
    store<3>(du, da + p.then_gate, p.gates, p.then_gate);
    store<3>(dw_gates, dw, p.now, p.now_gate);
    rest[p.now] = past;
}
