"""HTTP without routes: bodies, parameters, headers, cursors, problems, and the layers before the router."""
