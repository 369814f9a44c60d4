"""The short table of docs/proof.md."""

import proof_table

PRINTED = """\
cell                   scan     layers  dirs  lengths         x       h0       c0        U
RNN(tanh)              generic  1       1     equal       3e-16    4e-15             5e-16
RNN(tanh)              generic  1       1     ragged      3e-16    4e-16             6e-16
RNN(tanh)              numpy    1       2     equal       7e-16    4e-16             5e-16
LSTM(tanh)             generic  3       2     ragged      3e-16    4e-16    8e-16    5e-16

worst error 4.1e-15: all within the bar of 1e-12
"""


def test_summary_has_the_worst_of_each_cell_and_scan():
    assert proof_table.summary(PRINTED).splitlines() == [
        "| cell | generic | numpy |",
        "|---|---|---|",
        "| RNN(tanh) | 4e-15 | 7e-16 |",
        "| LSTM(tanh) | 8e-16 | – |",
    ]
