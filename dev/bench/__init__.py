"""The benchmark: what the service costs beside the same work done bare. See docs/benchmark.md."""
