// A step of the persistent kernels, for one unit of one sequence, around the products: what it takes from memory
// besides them, the cell's own text (cell.py), and what it keeps.
//
// What it takes is no other block's, so that it is loaded while blocks wait for each other.

// Give the first step its state; returns its h.
static __device__ number start(const Problem &p, const Place &s)
{
    for (int k = STATES - 1; k > 0; k--) p.before[k][s.then] = p.start[k][s.now];
    return p.before[0][s.then] = p.start[0][s.now];
}

// What a step takes of a unit besides W h.
struct Given
{
    bool real;
    number u[U_ROWS], own[SOME(OWN)], state[STATES];

    __device__ void load(const Problem &p, const Place &s)
    {
        input(s, p.gates, p.U, p.K, p.tokens, u);
        cell_own(p.own, p.H, s.unit, own);
        for (int k = 0; k < STATES; k++) state[k] = p.before[k][s.then];
        real = is_real(s, p.real);  // the last, as the compiler waits for it
    }
};

// What a step back takes of a unit besides W' da; before the first step there is only the state's gradient.
struct GivenBack
{
    bool real;
    number own[SOME(OWN)], state[STATES], after[STATES], gate[SOME(GATES)], d[STATES], dy;

    __device__ void load(const Problem &p, const Place &s)
    {
        for (int k = 0; k < STATES; k++) d[k] = p.d[k][s.now];
        if (s.t < 0) return;
        dy = p.dys != 0 ? p.dys[p.dys_strides(s.unit, s.t, s.sequence)] : 0;
        ::load(GATES, gate, p.gates, s.gates, s.then_gate);
        cell_own(p.own, p.H, s.unit, own);
        for (int k = 0; k < STATES; k++)
            state[k] = p.before[k][s.then], after[k] = ::after(s, p.T, p.before[k], p.state[k]);
        real = is_real(s, p.real);
    }
};

// A whole step of a unit: returns the h that the next one takes.
static __device__ number step(const Problem &p, const Place &s, const Given &x, const number w[W_ROWS])
{
    number gate[SOME(GATES)], after[STATES];
    cell_forward(x.u, w, x.own, x.state, gate, after);
    store(GATES, gate, p.gates, s.gates, s.then_gate);
    p.ys[s.then] = x.real ? after[0] : 0;
    for (int k = STATES - 1; k >= 0; k--)
    {
        if (!x.real) after[k] = x.state[k];
        if (s.t + 1 < p.T) p.before[k][s.then + s.next] = after[k];
        else p.state[k][s.now] = after[k];
    }
    return after[0];
}

// And back, from dh by way of the next step's product: gives dw, W's rows of da, and returns what dh gets past W.
static __device__ number step_back(const Problem &p, const Place &s, const GivenBack &x, number dh, number dw[W_ROWS])
{
    number d[STATES], past[STATES], row[DA_ROWS] = {};
    for (int k = 0; k < STATES; k++) past[k] = d[k] = x.d[k];
    past[0] = d[0] = dh;
    if (x.real)
    {
        d[0] += x.dy;
        cell_backward(x.own, x.state, x.after, x.gate, d, row, dw, past);
    }
    store(DA_ROWS, row, p.da, s.gates, s.then_gate);
    for (int k = 1; k < STATES; k++) p.d[k][s.now] = past[k];
    return past[0];
}
