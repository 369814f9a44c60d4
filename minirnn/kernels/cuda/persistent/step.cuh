// A step of each cell in the persistent kernels, for one unit of one sequence, around the products: what it takes
// from memory besides them, the equations of cells.cuh, and what it keeps.
//
// What it takes is no other block's, so that it is loaded while blocks wait for each other.

// Give the first step its state; returns its h.
static __device__ number start(const Problem &p, const Place &s)
{
    if (p.c_before != 0) p.c_before[s.then] = p.c_first[s.now];
    return p.h_before[s.then] = p.h_first[s.now];
}

// Give the state after a step to the next one; or it is the last one.
static __device__ void advance(const Problem &p, const Place &s, number value, number *before, number *last)
{
    if (s.t + 1 < p.T) before[s.then + s.next] = value;
    else last[s.now] = value;
}

// What a step takes of a unit besides W h.
template <int GATES>
struct Given
{
    bool running;
    number u[GATES], b[GATES], bw, h, c;

    __device__ void load(const Problem &p, const Place &s)
    {
        input<GATES>(s, p.gates, p.U, p.K, p.tokens, u);
        ::load<GATES>(b, p.b, s.unit, p.H);
        bw = p.bw != 0 ? p.bw[s.unit] : 0;
        h = p.h_before[s.then];
        c = p.c_before != 0 ? p.c_before[s.then] : 0;
        running = runs(s, p.mask);  // the last, as the compiler waits for it
    }
};

// What a step back takes of a unit besides W' da; before the first step there is only dh.
struct GivenBack
{
    bool running;
    number dh, dc, dy, gates[4], h, h_new, c, c_new;

    __device__ void load(const Problem &p, const Place &s)
    {
        dh = p.dh[s.now];
        if (s.t < 0) return;
        dy = p.dys != 0 ? p.dys[p.dys_strides(s.unit, s.t, s.sequence)] : 0;
        if (p.gates != 0) ::load<4>(gates, p.gates, s.gates, s.then_gate);
        h = p.h_before[s.then], h_new = after(s, p.T, p.h_before, p.h);
        if (p.c_before != 0)
            dc = p.dc[s.now], c = p.c_before[s.then], c_new = after(s, p.T, p.c_before, p.c);
        running = runs(s, p.mask);
    }
};

// Each cell: `forward` takes its rows of W h and returns the next h; `backward` gives dw, its rows of what W' is
// multiplied by, and returns what dh gets past that product.

struct Rnn
{
    enum { GATES = 1 };

    static __device__ number forward(const Problem &p, const Place &s, const Given<1> &x, const number w[1])
    {
        number h_new;
        cells::rnn_forward<ACT>(x.u[0], w[0], x.b[0], h_new);
        return h_new;
    }

    static __device__ number backward(
        const Problem &p, const Place &s, const GivenBack &x, number dh, number dw[1])
    {
        if (x.running) cells::rnn_backward<ACT>(x.h_new, dh, dw[0]);
        p.da[s.gates] = dw[0];
        return x.running ? 0 : dh;
    }
};

struct Lstm
{
    enum { GATES = 4 };

    static __device__ number forward(const Problem &p, const Place &s, const Given<4> &x, const number w[4])
    {
        number ifog[4], h_new, c_new;
        cells::lstm_forward<ACT>(x.u, w, x.b, x.c, ifog, h_new, c_new);
        store<4>(ifog, p.gates, s.gates, s.then_gate);
        advance(p, s, x.running ? c_new : x.c, p.c_before, p.c);
        return h_new;
    }

    static __device__ number backward(
        const Problem &p, const Place &s, const GivenBack &x, number dh, number dw[4])
    {
        if (x.running) cells::lstm_backward<ACT>(x.gates, x.c, x.c_new, dh, x.dc, dw, p.dc[s.now]);
        store<4>(dw, p.da, s.gates, s.then_gate);
        return x.running ? 0 : dh;
    }
};

struct Gru
{
    enum { GATES = 3 };

    static __device__ number forward(const Problem &p, const Place &s, const Given<3> &x, const number w[3])
    {
        number rznm[4], h_new;
        cells::gru_forward(x.u, w, x.b, x.bw, x.h, rznm, h_new);
        store<4>(rznm, p.gates, s.gates, s.then_gate);
        return h_new;
    }

    static __device__ number backward(
        const Problem &p, const Place &s, const GivenBack &x, number dh, number dw[3])
    {
        number du[3] = {0, 0, 0}, past = dh;
        if (x.running) cells::gru_backward(x.gates, x.h, dh, du, dw, past);
        p.da[s.gates] = dw[2];  // rows m, r, z, n: W's are the first three, U's the last
        store<3>(du, p.da + s.then_gate, s.gates, s.then_gate);
        return past;
    }
};

// A whole step of a unit: returns the h that the next one takes.
template <class Cell>
static __device__ number step(
    const Problem &p, const Place &s, const Given<Cell::GATES> &x, const number w[Cell::GATES])
{
    number h_new = Cell::forward(p, s, x, w);
    p.ys[s.then] = x.running ? h_new : 0;
    if (!x.running) h_new = x.h;
    advance(p, s, h_new, p.h_before, p.h);
    return h_new;
}

// And back: gives dw, and returns what dh gets past the product.
template <class Cell>
static __device__ number step_back(
    const Problem &p, const Place &s, const GivenBack &x, number dh, number dw[Cell::GATES])
{
    if (x.running) dh += x.dy;
    return Cell::backward(p, s, x, dh, dw);
}
