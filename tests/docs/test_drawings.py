"""The drawings of the book: nothing written in them overlaps, or is cut off."""

from itertools import combinations

import drawings
import matplotlib.pyplot as plt
import pytest


@pytest.mark.parametrize("draw", [drawings.unrolled, drawings.lstm_cell, drawings.gru_cell])
def test_what_is_written_is_apart_and_inside(draw):
    figure, ax = plt.subplots(figsize=(7, 3.4))
    draw(ax)
    figure.canvas.draw()
    sheet = ax.get_window_extent()
    written = {f"{k} {t.get_text()}": t for k, t in enumerate(ax.texts) if t.get_text()}
    boxes = {name: (t.get_bbox_patch() or t).get_window_extent() for name, t in written.items()}
    plt.close(figure)
    assert len(boxes) >= 10
    for name, box in boxes.items():
        assert sheet.x0 <= box.x0 < box.x1 <= sheet.x1, name
        assert sheet.y0 <= box.y0 < box.y1 <= sheet.y1, name
    for (one, a), (other, b) in combinations(boxes.items(), 2):
        assert not a.overlaps(b), f"{one} and {other}"
