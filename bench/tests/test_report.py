"""The report: what it reads, and how it looks in a browser."""

import json
import re

import numpy as np
import pytest

from bench import results
from bench.benchmark import Benchmark, Case, totals
from bench.report import page, sources
from bench.tests import browser
from models.errors import SkipstoneError

pytestmark = pytest.mark.xdist_group("browser")
needs_browser = pytest.mark.skipif(browser.MISSING is not None, reason=str(browser.MISSING))

MOVED = {
    "weights": 4000,
    "input": 0,
    "output": 0,
    "maps_dense": 9000,
    "maps_compressed": 5000,
    "zero_inputs": 0.4,
}


def layer(name, dataflow="nullhop", cycles=1000, macs=200_000, multiplies=110_000, **more):
    row = {"name": name, "op": "conv_2d", "dataflow": dataflow, "cycles": cycles, "predicted_cycles": cycles + 10}
    numbers = {"macs": macs, "multiplies": multiplies, "utilisation": multiplies / (cycles * 128), "equal": True}
    return row | numbers | {"traffic": MOVED if macs else None} | more


LAYERS = [
    layer("conv_2d_0"),
    layer("depthwise_1", "csc", macs=60_000, multiplies=55_000),
    layer("a layer with a name that is rather long_2"),
    layer("add_3", "vector", macs=0, multiplies=0),
]
SIMULATED = {
    "network": "small",
    "seed": 3,
    "groups": 8,
    "lanes": 16,
    "layers": LAYERS,
    "total": {"cycles": 4100, "predicted_cycles": 4000, "macs": 460_000, "multiplies": 275_000, "equal": True},
}
SYNTHESISED = {
    "targets": [
        {
            "target": "ecp5",
            "part": "Lattice ECP5 LFE5U-85F-6",
            "config": {"groups": 8, "lanes": 16},
            "resources": {"LUT": {"used": 40, "available": 80}, "DSP": {"used": 3, "available": 4}},
            "achieved_mhz": 62.5,
            "frequency_mhz": 60,
        },
        {"target": "ice40", "config": {}, "error": "does not fit"},
    ]
}


BITSTREAM = {
    "board": "a_board",
    "part": "A part",
    "resources": {"LUT": {"used": 10, "available": 80}},
    "clock_mhz": 40.0,
    "achieved_mhz": 39.5,
    "networks": [
        {"network": "resnet8", "cycles": 50_000, "inferences_per_second": 800.0, "refused": ""},
        {"network": "large", "cycles": 0, "inferences_per_second": 0.0, "refused": "it needs more memory"},
    ],
}


def vgg_like():
    """A benchmark held against a published efficiency."""
    rows = [
        layer(name, groups=8, lanes=16, efficiency=3.2, hidden_efficiency=3.4, imbalance=1.02)
        for name in ("conv1_1", "conv1_2")
    ]

    def total(rows):
        return {**totals(rows), "hidden_efficiency": 3.5}

    cases = [Case(row["name"], lambda: {}) for row in rows]
    published = {"efficiency": 3.288}
    return Benchmark("vgg-like", "A table: VGG", lambda full: cases, summarise=total, published=published), rows


def on_boards():
    rows = [
        {"name": "small on a", "board": "a", "inferences_per_second": 800.5, "clock_mhz": 40.0},
        {"name": "large on a", "board": "a", "refused": "it needs more memory"},
    ]
    return Benchmark("on-boards", "On boards", lambda full: []), rows


def against_a_peer():
    rows = [
        {"name": f"{who}, 3x3", "layer": "3x3", "generator": who, "cycles": 100, "macs": 1000, "efficiency": rate}
        for who, rate in (("Skipstone", 2.0), ("Peer", 0.8))
    ]
    return Benchmark("peers", "Others", lambda full: []), rows


def sizes():
    rows = [{"name": f"{who}'s", "generator": who, "lut": luts, "dsp": 8} for who, luts in (("Skipstone", 9), ("P", 7))]
    return Benchmark("sizes", "What others take", lambda full: []), rows


def on_each_dataflow():
    common = {"layer": "depthwise", "groups": 2, "lanes": 5, "predicted_cycles": 100, "macs": 1000, "multiplies": 900}
    rows = [
        {"name": name, "dataflow": name, **common, "efficiency": rate} for name, rate in (("csc", 0.5), ("rsnn", 1.0))
    ]
    return Benchmark("alternatives", "One layer on each", lambda full: []), rows


def dealt():
    rows = [{"name": name, "imbalance": value} for name, value in (("in order", 1.4), ("merged", 1.02))]
    return Benchmark("dealt", "Dealt kernels", lambda full: []), rows


@pytest.fixture
def files(tmp_path):
    """A file of each kind."""
    written = {"simulated": SIMULATED, "synthesised": SYNTHESISED, "board": BITSTREAM}
    for name, document in written.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
    benchmarks = [
        results.write(*made, full=False, folder=tmp_path)
        for made in (vgg_like(), against_a_peer(), on_each_dataflow(), dealt(), on_boards(), sizes())
    ]
    return [*benchmarks, *(tmp_path / f"{name}.json" for name in written)]


@pytest.fixture
def written(files, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(page.render(sources.read(files)))
    return path


def test_the_page_needs_nothing_but_itself(written):
    text = written.read_text()
    assert "<script" not in text and "@import" not in text
    assert not re.findall(r'(?:src|href)="(?!data:,|#)', text)
    identifiers = re.findall(r'\bid="([^"]+)"', text)
    assert len(identifiers) == len(set(identifiers))


def test_each_dataflow_is_summed_up(files):
    found = {winner.dataflow: winner for winner in page.winners(sources.read(files))}
    assert list(found) == ["nullhop", "rsnn", "csc", "vector"]
    assert (found["rsnn"].predicted, found["rsnn"].efficiency, found["rsnn"].utilisation) == (True, 1.0, 0.9)
    assert not found["csc"].predicted
    assert (found["csc"].layers, found["csc"].efficiency) == (1, 60_000 / 128_000)
    assert found["nullhop"].layers == 4 and found["nullhop"].utilisation == 110_000 / 128_000
    assert found["vector"].efficiency is None


def test_a_byte_that_differs_is_said_first(tmp_path):
    path = tmp_path / "wrong.json"
    wrong = LAYERS[0] | {"equal": False}
    path.write_text(json.dumps(SIMULATED | {"layers": [wrong, *LAYERS[1:]]}))
    text = page.render(sources.read([path]))
    assert "1 of 4 rows differ" in text and "conv_2d_0" in text and "equals the golden model" not in text


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"answer": 42}, "no results of a known kind"),
        (SIMULATED | {"layers": [{}]}, "is damaged, or of another version"),
    ],
)
def test_a_file_of_another_kind_is_named(tmp_path, document, reason):
    path = tmp_path / "other.json"
    path.write_text(json.dumps(document))
    with pytest.raises(SkipstoneError, match=reason) as raised:
        sources.read([path])
    assert str(path) in str(raised.value)


def figure(look, title):
    (found,) = [figure for figure in look.measured["figures"] if figure["title"] == title]
    return found


def luminance(colour):
    channels = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_how_it_looks(written, scheme):
    look = browser.look(written, scheme)
    measured = look.measured
    assert look.console == []
    assert len(measured["tiles"]) == 2 and "published: 328.8%" in measured["tiles"][0]
    assert len(measured["headings"]) == 9
    bars = figure(look, "small on 8 x 16 multipliers: cycles")
    # A bar a layer, and one within it for those that multiply.
    assert (bars["axes"], bars["bars"]) == (2, 4 + 3)
    assert "conv_2d_0: 1,000 cycles, predicted 1,010, ideal 859" in bars["titles"]
    assert figure(look, "A table: VGG: efficiency")["bars"] == 2 * 3
    assert figure(look, "A table: VGG: imbalance")["bars"] == 2
    dots = figure(look, "Zeros against speed-up")
    assert (dots["axes"], dots["points"]) == (2, 2 + 3)
    assert figure(look, "Roofline")["points"] == 2 + 3
    assert figure(look, "small on 8 x 16 multipliers: feature maps")["bars"] == 2 * 3
    assert figure(look, "Lattice ECP5 LFE5U-85F-6, 8 x 16 multipliers")["bars"] == 2
    assert figure(look, "a_board, A part")["bars"] == 1
    assert figure(look, "Dealt kernels")["bars"] == 2
    assert figure(look, "Others")["bars"] == 2
    assert figure(look, "What others take")["bars"] == 2
    assert figure(look, "On boards")["bars"] == 1
    assert figure(look, "One layer on each")["bars"] == 2
    assert figure(look, "Where the cycles go")["bars"] == 3
    assert measured["tables"] == [3, 2, 2, 2, 2, 2, 5, 2]
    for each in measured["figures"]:
        assert each["outside"] == [] and each["meeting"] == [] and "none" not in each["fills"], each
    # Both schemes can be read, and are not the same.
    assert (luminance(measured["page"]) > 0.5) == (scheme == "light")
    assert contrast(measured["page"], measured["ink"]) > 10 and contrast(measured["page"], measured["quiet"]) > 4.5
    pixels = np.asarray(look.picture)
    assert (pixels[2, 2].mean() > 128) == (scheme == "light")
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 100


@needs_browser
def test_on_a_narrow_screen_nothing_hangs_over(written):
    assert browser.look(written, "light", width=500).measured["overflow"] == 0
