"""Routes, one module per resource: each parses the request, calls one service and responds."""
