"""How the manual is built: `make docs`."""

import sys
from importlib.metadata import version as version_of
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench import markdown  # noqa: E402  # the path comes first

project = "Skipstone"
author = "The Skipstone authors"
copyright = "The Skipstone authors; Apache License 2.0"
release = version_of("skipstone")

extensions = ["myst_parser"]
myst_enable_extensions = ["substitution", "dollarmath"]
myst_heading_anchors = 3
# {{ results_NAME }} is the table of bench/results/NAME.json: no number is written twice.
myst_substitutions = {f"results_{name.replace('-', '_')}": table for name, table in markdown.tables().items()}
nitpicky = True
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"Skipstone {release}"
html_static_path = ["_static"]
html_css_files = ["manual.css"]
html_copy_source = False
html_show_sourcelink = False

linkcheck_timeout = 20
linkcheck_retries = 2
