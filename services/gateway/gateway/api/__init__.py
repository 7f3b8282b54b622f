"""The routes: what each takes, asks and answers, and how OpenAPI describes it."""
