"""HTTP without routes: bodies, problem documents, headers, cursors."""
