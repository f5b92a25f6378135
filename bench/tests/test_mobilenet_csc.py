from bench.mobilenet import mobilenet
from bench.mobilenet_csc import macs_of, variants, weights_of

LAYERS = mobilenet(0.5, 224)


def test_weights_and_operations_are_the_published_ones():
    assert sum(layer.weights for layer in LAYERS) == 1_319_648
    assert round(sum(layer.macs for layer in LAYERS) / 1e6, 1) == 149.5
    last_two = LAYERS[-2:]
    assert [(layer.inputs, layer.outputs, layer.size) for layer in last_two] == [(512, 512, 7), (512, 1000, 1)]
    assert round(sum(layer.weights for layer in last_two) / 1_319_648, 3) == 0.587


def test_the_published_size_of_the_cyclic_network():
    published, *others = variants()
    assert round(weights_of(LAYERS, published) / 1000) == 873
    sizes = [weights_of(LAYERS, variant) for variant in variants()]
    assert sizes == sorted(sizes, reverse=True)
    assert macs_of(LAYERS, others[0]) < macs_of(LAYERS, published) < sum(layer.macs for layer in LAYERS)


def test_every_pair_of_ends_stays_connected():
    for variant in variants():
        for layer, cascade in zip(LAYERS[-2:], variant.cascades, strict=True):
            assert (cascade.inputs, cascade.kernel) == (layer.inputs, (layer.kernel, layer.kernel))
            assert layer.outputs <= cascade.outputs <= 1024 and cascade.paths.min() >= 1
