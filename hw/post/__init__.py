"""The post-processor: bias, requantisation, activation clamp and max-pooling of finished accumulators."""
