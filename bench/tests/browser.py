"""A page as headless Chromium shows it: what is in it, in which colours, and a screenshot."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
MISSING = None if any(map(shutil.which, PROGRAMS)) else "Chromium is not installed: apt install chromium"
"""Why no page can be looked at here; None if one can."""

_SECONDS = 120
_SCHEMES = {"dark": 0, "light": 1}

_MEASURE = """
const all = (where, what) => [...where.querySelectorAll(what)];
const marks = (figure, kind) => all(figure, `[aria-roledescription="${kind}"]`);
const seen = element => { const box = element.getBoundingClientRect(); return box.width > 0 && box.height > 0; };
const outside = figure => {
  const frame = figure.getBoundingClientRect();
  return all(figure, "text").filter(seen).filter(text => {
    const box = text.getBoundingClientRect();
    return getComputedStyle(text).opacity > 0 && (box.left < frame.left || box.right > frame.right);
  }).map(text => text.textContent);
};
const meeting = figure => {
  const texts = all(figure, "text").filter(seen).filter(text => getComputedStyle(text).opacity > 0);
  const boxes = texts.map(text => text.getBoundingClientRect());
  const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom - 2 && b.top < a.bottom - 2;
  return texts.filter((text, i) => boxes.some((box, j) => i < j && meet(boxes[i], box))).map(text => text.textContent);
};
const style = (element, name) => getComputedStyle(element).getPropertyValue(name);
const measured = {
  headings: all(document, "h2").map(heading => heading.textContent),
  tiles: all(document, ".tile").map(tile => tile.textContent),
  figures: all(document, "figure").map(figure => ({
    title: figure.querySelector("h3").textContent,
    axes: marks(figure, "axis").length,
    bars: marks(figure, "bar").filter(seen).length,
    points: marks(figure, "point").filter(seen).length,
    fills: [...new Set([...marks(figure, "bar"), ...marks(figure, "point")].map(mark => style(mark, "fill")))],
    titles: all(figure, "svg title").map(title => title.textContent),
    outside: outside(figure),
    meeting: meeting(figure),
  })),
  tables: all(document, "details table tbody").map(body => body.rows.length),
  page: style(document.body, "background-color"),
  ink: style(document.body, "color"),
  quiet: style(document.querySelector(".lead"), "color"),
  overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
};
const held = document.createElement("script");
held.type = "application/json";
held.id = "measured";
held.textContent = JSON.stringify(measured);
document.body.append(held);
"""


@dataclass(frozen=True)
class Look:
    """What the page was: `measured` as the script above names it, what the console said, and a picture."""

    measured: dict[str, Any]
    console: list[str]
    picture: Image.Image


def look(page: Path, scheme: str, width: int = 1100) -> Look:
    """Open a page in a `light` or `dark` scheme, in a window that is so wide."""
    copy = page.with_name(f"{page.stem}-measured.html")
    copy.write_text(page.read_text().replace("</body>", f"<script>{_MEASURE}</script></body>"))
    dom, console = _chromium(copy, scheme, width, "--dump-dom")
    found = re.search(r'<script type="application/json" id="measured">(.*?)</script>', dom, re.DOTALL)
    assert found, f"the page could not be measured: {console}"
    shot = page.with_name(f"{page.stem}-{scheme}-{width}.png")
    _chromium(page, scheme, width, f"--screenshot={shot}")
    return Look(json.loads(found[1]), console, Image.open(shot).convert("RGB"))


def _chromium(page: Path, scheme: str, width: int, action: str) -> tuple[str, list[str]]:
    """What it prints, and what the page says on the console."""
    (program, *_) = filter(None, map(shutil.which, PROGRAMS))
    command = [
        program,
        "--headless=new",
        "--no-sandbox",  # a sandbox needs rights that containers do not give
        "--disable-gpu",
        "--hide-scrollbars",
        "--enable-logging=stderr",
        f"--user-data-dir={page.parent / 'profile'}",
        f"--blink-settings=preferredColorScheme={_SCHEMES[scheme]}",
        f"--window-size={width},3000",
        action,
        page.as_uri(),
    ]
    result = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=True)
    return result.stdout, [line for line in result.stderr.splitlines() if ":CONSOLE" in line]
