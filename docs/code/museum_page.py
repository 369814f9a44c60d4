"""What the pages on the bug museum show: exhibits, what weak checks miss, losses of training."""

import textwrap

import matplotlib.pyplot as plt
import numpy as np
from bug_museum import TASKS, arranged, draw, train_all
from exhibits import EXHIBITS
from IPython.display import HTML, Markdown, display
from museum import WEAK, strong, summary, weak

from minirnn.gradcheck import Report


def show(*names: str) -> None:
    """Show exhibits: the line, how it comes about, where it was seen, and what gradcheck says."""
    for name in names:
        exhibit = EXHIBITS[name]
        said = f"over 4 steps\n{_indented(summary(strong(exhibit)))}"
        if not arranged(exhibit):
            said += f"\nover 1 step\n{_indented(summary(strong(exhibit, T=1)))}"
        seen = f" *Seen in* {exhibit.seen}" if exhibit.seen else ""
        display(
            Markdown(
                f"**{exhibit.title}**: `{name}`, in {exhibit.place}\n\n"
                f"```diff\n{exhibit.diff}\n```\n\n{exhibit.story}{seen}\n\n```text\n{said}\n```\n"
            )
        )


def _indented(text: str) -> str:
    wrapper = textwrap.TextWrapper(90, " " * 4, " " * 8, break_on_hyphens=False)
    return "\n".join(map(wrapper.fill, text.splitlines()))


def table_of_misses() -> dict[str, int]:
    """Show which checks miss which exhibits, and return how many each of the weak ones misses."""
    rows = [("th", ["exhibit", "strong", *WEAK])]
    missed = dict.fromkeys(WEAK, 0)
    for name, exhibit in EXHIBITS.items():
        reports = {check: weak(exhibit, **less) for check, less in WEAK.items()}
        words = [_word(strong(exhibit))]
        for check, report in reports.items():
            missed[check] += report is not None and report.ok
            words.append(_word(report))
        rows.append(("td", [f"<code>{name}</code>", *words]))
    cells = ("".join(f"<{tag}>{word}</{tag}>" for word in words) for tag, words in rows)
    table = "".join(f"<tr>{row}</tr>" for row in cells)
    display(HTML(f'<div class="table-wrapper"><table class="docutils">{table}</table></div>'))
    return missed


def _word(report: Report | None) -> str:
    return "" if report is None else "<b>missed</b>" if report.ok else "✓"


def losses(*names: str, steps: int = 150, seeds: int = 3) -> dict[tuple[str, str], float]:
    """Draw the losses of training with these mistakes and with none, for all seeds.

    Returns:
        The mean of the last ten losses of all seeds, by task and name; "right" is with no mistake.
    """
    figure, all_axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    ends: dict[tuple[str, str], float] = {}
    for task, axes in zip(TASKS, all_axes, strict=True):
        runs = train_all(task, [EXHIBITS[name] for name in names], steps, range(seeds))
        draw(axes, task, runs)
        ends |= {(task, name): float(np.mean(np.array(run)[:, -10:])) for name, run in runs.items()}
    figure.legend(*all_axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    plt.show()
    return ends
