"""The embedded model: EfficientNet-Lite0 in int8, made from published weights and photographs in the public domain."""
