"""Who asks: resolved once a request, and what each route needs a right for."""
