"""Networks in numpy: the representation, importers, golden operators, sparsity codecs and the zoo."""
