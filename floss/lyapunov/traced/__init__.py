"""The tangent step of any map, recorded once as a graph of torch's operations, and replayed at every step."""
