"""Request checks: headers, origins, sizes, login rate limits, uploads."""
