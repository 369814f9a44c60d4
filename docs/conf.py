"""How the site is built: ``python -m sphinx -W docs out/site``."""

import os
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).parent

project = "minirnn"
author = "The minirnn authors"
copyright = author  # Sphinx's name
release = metadata.version("minirnn")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
myst_enable_extensions = ["attrs_block", "attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

# Code in the pages runs while they are built, page by page. What it prints is the page's figures.
nb_execution_mode = "inline"
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_merge_streams = True
# The kernels find what pages share in code/, this copy of the package, and what the examples share.
paths = [HERE / "code", HERE.parent, HERE.parent / "examples", os.environ.get("PYTHONPATH")]
os.environ["PYTHONPATH"] = os.pathsep.join(map(str, filter(None, paths)))

html_theme = "furo"
html_title = "minirnn"
html_static_path = ["_static"]
html_css_files = ["book.css"]

# All of MathJax in one file that asks for no other, so that the site works from disk.
mathjax = next(f for f in metadata.files("sphinx-mathjax-offline") or [] if f.name == "tex-svg.js")
html_extra_path = [str(mathjax.locate())]
mathjax_path = "../tex-svg.js"
