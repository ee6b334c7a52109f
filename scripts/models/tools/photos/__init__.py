"""Make the embedded model: EfficientNet-Lite0 in int8, from published weights and photographs in the public domain."""
