"""The provider `router`: its models are routes, and a route is a choice among other providers and models."""
