"""Steps that cross rooms: evaluate, package, replay, forget and the benchmarks."""
