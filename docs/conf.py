"""How the site is built: ``python -m sphinx -W docs out/site``."""

import os
import sys
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "code"), str(HERE.parent)]

from punctuation import keep_signs  # noqa: E402
from sources import linkcode_resolve  # noqa: E402, F401
from sphinx.domains.python import PyObject  # noqa: E402

from minirnn.kernels.compiled import compile_ahead  # noqa: E402

project = "minirnn"
author = "The minirnn authors"
copyright = author  # Sphinx's name
release = metadata.version("minirnn")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.linkcode",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sources",
]
exclude_patterns = ["code"]
myst_enable_extensions = [
    "attrs_block",
    "attrs_inline",
    "colon_fence",
    "deflist",
    "dollarmath",
    "html_image",
]
myst_dmath_allow_digits = myst_dmath_allow_space = False  # $19.06 against $13.87 is money
myst_heading_anchors = 3

# Code in the pages runs while they are built, page by page. What it prints is the page's figures.
nb_execution_mode = "inline"
nb_execution_timeout = 900  # for a cell; the proof takes minutes where other programs run
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_merge_streams = True
nb_output_stderr = "warn"  # what a page has on stderr, such as a warning, is a mistake of the page
os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"  # whatever the shell has set
# NumPy reads the processor's flags after a product, and BLAS may raise them for numbers that are no
# part of it.
flags = ("invalid value", "overflow", "divide by zero")
os.environ["PYTHONWARNINGS"] = ",".join(
    f"ignore:{flag} encountered in matmul:RuntimeWarning" for flag in flags
)
nb_render_markdown_format = "myst"  # has tables
# The kernels find what pages share in code/, this copy of the package, and what the examples share.
paths = [HERE / "code", HERE.parent, HERE.parent / "examples", os.environ.get("PYTHONPATH")]
os.environ["PYTHONPATH"] = os.pathsep.join(map(str, filter(None, paths)))

for dtype in ("float32", "float64"):  # a page's code would say that it compiles
    compile_ahead(dtype)

# The reference. A name between single backticks in a docstring is an entry if there is one.
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the words say more: shapes, and what is allowed
autosummary_generate = False
napoleon_numpy_docstring = False
add_module_names = False
PyObject.doc_field_types[0].label = "Arguments"  # parameters are what is learned

highlight_language = "text"  # blocks that do not name their language are commands and tables
pygments_dark_style = "github-dark"
html_theme = "furo"
html_title = "minirnn"
html_static_path = ["_static"]
html_css_files = ["book.css"]
templates_path = ["_templates"]
html_show_sourcelink = False
html_copy_source = False
html_show_search_summary = False  # summaries are fetched, which browsers refuse for files

# All of MathJax in one file that asks for no other, so that the site works from disk.
mathjax = next(f for f in metadata.files("sphinx-mathjax-offline") or [] if f.name == "tex-svg.js")
html_extra_path = [str(mathjax.locate())]
mathjax_path = "../tex-svg.js"


def setup(app):
    """Called by Sphinx."""
    app.connect("doctree-resolved", keep_signs)
