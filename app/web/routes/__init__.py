"""One module a resource: parse, call one service, answer."""
